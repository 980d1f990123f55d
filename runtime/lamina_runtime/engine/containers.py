"""Make containers and start them: image, ids, driver, bundle and plan come together here.

Theory.  A start is one plan.  What it takes on this host is decided first and written into the
bundle; then the launcher does all of it, and a failure in the middle leaves nothing: namespaces
and mounts go with their last process, and the launcher ends the driver.

Files that a container has of its own host (hosts, resolv.conf, hostname) are bind mounts from its
run directory, so that nothing is written into its upper.
"""

from __future__ import annotations

import os
import sys

import lamina_runtime
from lamina_runtime import contexts
from lamina_runtime.container import bundle, cgroups, health, launch, limits, plan
from lamina_runtime.container.records import Op, Record
from lamina_runtime.container.state import ConflictError, Container
from lamina_runtime.engine import confinement, footing, moments, naming, networking
from lamina_runtime.engine.context import Engine
from lamina_runtime.errors import NotFoundError
from lamina_runtime.fspath import Path
from lamina_runtime.oci import json
from lamina_runtime.store import files
from lamina_runtime.value import replace, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from typing import Any

    from lamina_runtime.container.collection import Containers
    from lamina_runtime.container.wishes import Wishes
    from lamina_runtime.engine.context import Engine
    from lamina_runtime.engine.footing import Footing
    from lamina_runtime.store.images import Image


def containers(engine: Engine) -> Containers:
    """Return the user's containers."""
    return engine.containers


def known(engine: Engine, word: str) -> Container | None:
    """Return the container of a name or id, None where there is none."""
    try:
        return containers(engine).find(word)
    except NotFoundError:
        return None


def create(engine: Engine, word: str, wishes: Wishes, *, name: str = "") -> Container:
    """Make a container of an image; nothing runs yet."""
    store = engine.store
    wishes = _with_sources(wishes)
    with store.lease("a container") as lease:
        image, reference = naming.resolve(store, word)
        command = bundle.arguments(image.config.config, wishes)  # what could never start is not made
        if wishes.runtime:
            from lamina_runtime.container import runtimes

            runtimes.check(wishes)
        if wishes.resources:  # and what could not be held within its limits neither
            cgroups.remove(cgroups.make(f"try-{os.getpid()}", limits.resources(wishes.resources),
                                        lenient=not wishes.resources.memory_swap))  # fmt: skip
        shown = word if reference else image.id.short  # as it was asked for, as docker shows it
        clear_debris(engine)

        def fill(data: Path) -> None:
            for part in ("upper", "work"):
                (data / part).mkdir(mode=0o755)
            # its name first: a lease that nobody knows of ends with us
            (data / "lease").write_text(lease.name, encoding="ascii")
            lease.keep(durable=not wishes.auto_remove)

        with _volumes(engine, image, wishes) as made, store.changing():
            store.images.get(image.id)  # whoever removes images sees the container, or was before it
            return containers(engine).create(
                image=image.id,
                image_name=shown,
                created=moments.now(),
                wishes=made,
                command=tuple(command),
                name=name,
                fill=fill,
            )


@contexts.contextmanager
def _volumes(engine: Engine, image: Image, wishes: Wishes) -> Iterator[Wishes]:
    """Yield the wishes with their volumes made and filled; what nobody uses then goes again."""
    if not image.config.config.volumes and all(mount.kind != "volume" for mount in wishes.mounts):
        yield wishes
        return
    from lamina_runtime.engine import volumes

    made = wishes
    try:
        with volumes.changing(engine):
            made = volumes.prepared(engine, image, wishes)
            volumes.populate(engine, footing.settings(image, engine.ids), made)
            yield made
    except BaseException:
        volumes.remove_anonymous(engine, containers(engine), made)
        raise


def _with_sources(wishes: Wishes) -> Wishes:
    """Make the host's directories that -v names, as docker does."""
    for mount in wishes.mounts:
        if "create" in mount.options and not os.path.exists(mount.source):
            os.makedirs(mount.source)
    kept = [[word for word in mount.options if word != "create"] for mount in wishes.mounts]
    pairs = zip(wishes.mounts, kept, strict=True)
    return replace(wishes, mounts=tuple(replace(mount, options=tuple(words)) for mount, words in pairs))


def start(
    engine: Engine,
    container: Container,
    *,
    rows: int = 0,
    columns: int = 0,
    client: socket.socket | None = None,
    again: bool = False,
) -> launch.Started:
    """Start a container; returns when its program runs.  LaunchError where it does not.

    `client` is attached from its first byte on.  `again` says that a restart policy wants it.
    """
    with container.turn(), container.claimed("starter"), container.failures_noted():
        if container.status().kind == "running":
            raise ConflictError(f"container {container.record.name} is running")
        if again and container.was_stopped():
            raise ConflictError(f"container {container.record.name} was stopped")
        container.forget_run(again=again)
        standing, chosen = footing.first(engine, container), None
        while True:
            try:
                with _network(engine, container, standing, chosen) as chosen:
                    started = _Start(engine, container, standing, (rows, columns), client).launch(chosen)
            except launch.LaunchError as refused:
                chosen = chosen and networking.instead(container.record.wishes, chosen, refused)
                if chosen is None:
                    standing = footing.below(engine, container, standing, refused)
            else:
                shared = chosen.note if "network" in standing.kinds else ""  # else the footing's note says it
                for note in (*standing.notes, *([shared] if shared else ())):
                    import logging

                    logging.getLogger(__name__).warning("lamina: %s", note)
                return started


@contexts.contextmanager
def _network(
    engine: Engine, container: Container, standing: Footing, chosen: networking.Way | None
) -> Iterator[networking.Way]:
    """Yield how a container gets out; LaunchError where it asked for what its footing does not give."""
    wishes = container.record.wishes
    has = "network" in standing.kinds
    lack = launch.LaunchError(125, "make a network namespace: this host gives none")
    if wishes.networks:
        from lamina_runtime.engine import membership

        if not has:
            raise lack
        with membership.entered(engine, container) as joined:
            yield joined
        return
    if wishes.network == "container":
        chosen = networking.of_another(containers(engine).find(wishes.network_options[0]))
    chosen = chosen or networking.way(wishes)
    if chosen.own and not has:
        chosen = networking.instead(wishes, chosen, lack)
        if chosen is None:
            raise lack
    yield chosen


@value
class _Start:
    """One attempt at a start: on one footing, to be tried in several networks."""

    engine: Engine
    container: Container
    standing: Footing
    size: tuple[int, int]
    client: socket.socket | None

    def launch(self, chosen: networking.Way) -> launch.Started:
        """Write the bundle and carry it out."""
        engine, container, standing = self.engine, self.container, self.standing
        image = engine.store.images.get(container.record.image)
        footing.prepare(engine, container, image, standing)
        with (
            networking.begun(container, chosen, image.config.config) as network,
            _groups(container) as groups,
        ):
            made = _bundle(engine, container, image, standing, chosen)
            if made["process"]["terminal"]:
                made["process"]["consoleSize"] = {"height": self.size[0], "width": self.size[1]}
            files.replace(
                container.data / "config.json", json.dump(made), temporary=container.data, durable=False
            )
            client = self.client.fileno() if self.client else None
            rows = [*_around(engine, container, image, standing), *network]
            rows += [Record(Op.CGROUP, str(group / "cgroup.procs")) for group in groups]
            if container.record.wishes.runtime:
                from lamina_runtime.container import runtimes

                return runtimes.start(made, container, rows, client=client)
            return launch.start(
                [*plan.container(made), *rows], client=client, errors=container.run / "errors"
            )


@contexts.contextmanager
def _groups(container: Container) -> Iterator[list[Path]]:
    """Yield control groups with the limits that were wished; they stay unless the start fails."""
    wished = container.record.wishes.resources
    groups = []
    if wished:
        groups = cgroups.make(container.id, limits.resources(wished), lenient=not wished.memory_swap)
        cgroups.keep(container, groups)
    try:
        yield groups
    except BaseException:
        cgroups.remove(groups)
        raise


def remove(engine: Engine, container: Container, *, volumes: bool = False) -> None:
    """Remove a container that does not run, with all that it wrote; with `volumes` its anonymous ones."""
    with container.turn():
        kind = container.status().kind
        if kind in ("running", "starting", "restarting"):
            raise ConflictError(
                f"cannot remove container {container.record.name!r}: container is {kind}",
                hint="stop the container before removing it, or use --force",
            )
        cgroups.remove(cgroups.kept(container))  # of a monitor that was killed
        containers(engine).forget(container, lambda data: _clear(engine, data))
    wishes = container.record.wishes
    if volumes and any(mount.kind == "volume" for mount in wishes.mounts):
        from lamina_runtime.engine import volumes as kept

        kept.remove_anonymous(engine, containers(engine), wishes)


def clear_debris(engine: Engine) -> None:
    """Remove what commands that were killed have left of containers."""
    containers(engine).clear_debris(lambda data: _clear(engine, data))


def _clear(engine: Engine, data: Path) -> None:
    """Remove what a container wrote, with its ids where they are not all ours, and end its lease."""
    for part in ("upper", "work", "tree") if engine.ids.uids else ():
        target = data / part
        if not target.exists():
            continue
        try:
            files.remove_all(target)  # often all of it is root's there, and that is us
        except OSError:
            from lamina_runtime.engine import inside

            inside.answer({"operation": "remove", "target": str(target)}, engine.ids)
    kept = data / "lease"
    if kept.exists():
        engine.store.end_lease(kept.read_text(encoding="ascii"))


def _bundle(
    engine: Engine, container: Container, image: Image, standing: Footing, network: networking.Way
) -> dict[str, Any]:
    run, mapped = container.run, standing.ids
    wishes = container.record.wishes
    hostname = wishes.hostname or (os.uname().nodename if "uts" in wishes.share else container.id[:12])
    own = networking.write_files(container, network, hostname)
    own |= confinement.files(mapped, run)
    profile = confinement.profile(wishes)
    proc = not standing.enclosed or _fresh_proc(engine)
    if not proc:
        import logging

        logging.getLogger(__name__).warning(
            "lamina: /proc is masked here: the outer one is shown, and the host's processes with it"
        )
    has = {"pid": proc, "network": network.own}
    place = bundle.Place(
        str(footing.root(container, standing)),
        mapped.uids,
        mapped.gids,
        files=own,
        proc=proc,
        own=[kind for kind in standing.kinds if has.get(kind, True)],
        have=standing.have,
        volumes=_places(engine, wishes),
        joined=network.joined,
        parameters=networking.PARAMETERS if proc and network.own and not network.files else {},
        profile=profile,
    )
    config = bundle.make(image.config.config, replace(wishes, hostname=hostname), place)
    config["hostname"] = (
        hostname if any(row["type"] == "uts" for row in config["linux"]["namespaces"]) else ""
    )
    return config


def _fresh_proc(engine: Engine) -> bool:
    """Whether a proc of one's own can be mounted; it is tried where something lies over the outer one."""
    rows = Path("/proc/self/mountinfo").read_bytes().splitlines()
    if not any(line.split()[4].startswith(b"/proc/") for line in rows):
        return True
    from lamina_runtime.engine.ladder import Ladder

    return Ladder(engine.root).fresh_proc()


def _places(engine: Engine, wishes: Wishes) -> dict[str, str]:
    if all(mount.kind != "volume" for mount in wishes.mounts):
        return {}
    from lamina_runtime.engine import volumes

    return volumes.places(engine, wishes)


def _around(engine: Engine, container: Container, image: Image, standing: Footing) -> Iterator[Record]:
    """Yield what is the monitor's: where it keeps things, who maps ids, who mounts the root."""
    yield Record(Op.DIRECTORY, str(container.data), str(container.run))
    yield Record(Op.LOG, str(container.data / "log"))
    if container.record.wishes.interactive:
        yield Record(Op.STDIN)
    if container.record.wishes.init:
        yield Record(Op.REAP)
    if standing.ids.mappers:
        yield Record(Op.MAPPER, *standing.ids.mappers)
    wished = health.merged(image.config.config.healthcheck, container.record.wishes.health)
    yield from health.records(wished, image.config.config.shell)
    yield from footing.tree(engine, container, image, standing)
    if container.record.wishes.auto_remove or container.record.wishes.restart not in ("", "no"):
        for word in _after(engine, container):
            yield Record(Op.AFTER, word)


def leave_after(engine: Engine, container: Container) -> None:
    """Leave what comes after the end to a process of its own, as the monitor does."""
    words = _after(engine, container)
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    os.posix_spawn(words[0], words, os.environ, file_actions=null, setsid=True)


def _after(engine: Engine, container: Container) -> list[str]:
    """Return the command that sees to an ended container: `lamina container ended`."""
    script = str(Path(lamina_runtime.__file__).parent / "start.py")
    words = [sys.executable, "-I", "-S", script, "--root", str(engine.root)]
    return [*words, "container", "ended", container.id]
