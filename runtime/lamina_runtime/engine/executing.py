"""Run another program in a container that runs: `exec`.

Theory.  The program joins the namespaces of process 1 and gets what the container's own got, from
the bundle that was written at its start: limits, capabilities, environment, filter.  The launcher
watches over it as over a container, but keeps no state: it ends with who waits for it, or alone.
"""

from __future__ import annotations

from lamina_runtime import contexts
from lamina_runtime.container import capabilities, cgroups, launch, plan, processes
from lamina_runtime.container.common import USER
from lamina_runtime.container.records import Op, Record
from lamina_runtime.engine import pausing
from lamina_runtime.errors import NotFoundError
from lamina_runtime.oci import json
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from typing import Any

    from lamina_runtime.container.state import Container

FAILED = 125  # we did, not the program


@value
class Exec:
    """What is to be run, and how it differs from the container's own program."""

    command: tuple[str, ...]
    env: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    terminal: bool = False
    interactive: bool = False
    privileged: bool = False


def start(
    container: Container, wished: Exec, *, size: tuple[int, int] = (0, 0), client: socket.socket | None
) -> launch.Started:
    """Start a program; LaunchError where it cannot be run, NotRunningError where nothing runs."""
    status = container.status()
    if not status.pid:
        raise processes.NotRunningError(container)
    if pausing.is_paused(container, status.pid):
        raise launch.LaunchError(FAILED, f"container {container.record.name} is paused, unpause it first")
    with _said_plainly(container, status.pid):
        return _start(container, wished, status.pid, size, client)


@contexts.contextmanager
def _said_plainly(container: Container, pid: int) -> Iterator[None]:
    """Say of a container that ended or was removed meanwhile that it did, not what was missed first."""
    try:
        yield
    except (FileNotFoundError, launch.LaunchError) as error:
        if isinstance(error, launch.LaunchError) and error.status != FAILED:
            raise
        if not (container.data / "record.json").exists():
            raise NotFoundError(f"no such container: {container.record.name}") from None
        if container.status().pid != pid:
            raise processes.NotRunningError(container) from None
        raise


def _start(
    container: Container, wished: Exec, pid: int, size: tuple[int, int], client: socket.socket | None
) -> launch.Started:
    raw = (container.data / "config.json").read_bytes()
    config = json.load(raw, "config.json")
    kinds = _kinds(config)
    rows = [plan.joined(pid, kinds)]
    if "mount" not in kinds:
        rows.append(Record(Op.ROOT, config["root"]["path"], "chroot", "rw"))
    process = _process(config["process"], wished, size)
    if wished.privileged:
        every = _every(own="user" in kinds)
        process["capabilities"] = dict.fromkeys(("bounding", "permitted", "effective"), every)
    user = wished.user or config.get("annotations", {}).get(USER, "")
    rows += plan.process(process, user, linux=config.get("linux", {}))
    rows += [Record(Op.CGROUP, str(group / "cgroup.procs")) for group in cgroups.kept(container)]
    if wished.interactive:
        rows.append(Record(Op.STDIN))
    return launch.start(
        rows, client=client.fileno() if client else None, errors=container.run / "exec-errors"
    )


def _kinds(config: dict[str, Any]) -> list[str]:
    return [row["type"] for row in config.get("linux", {}).get("namespaces", ())]


def _process(own: dict[str, Any], wished: Exec, size: tuple[int, int]) -> dict[str, Any]:
    words = {word.partition("=")[0]: word for word in own.get("env", ())}
    if wished.terminal:
        words.setdefault("TERM", "TERM=xterm")
    words |= {word.partition("=")[0]: word for word in wished.env}
    return own | {
        "args": list(wished.command),
        "env": list(words.values()),
        "cwd": wished.working_dir or own.get("cwd", "/"),
        "terminal": wished.terminal,
        "consoleSize": {"height": size[0], "width": size[1]},
    }


def _every(*, own: bool) -> list[str]:
    """Return the capabilities of a privileged program: what there is to give."""
    from lamina_runtime.engine import footing

    chosen = capabilities.chosen(add=(), drop=(), privileged=True)
    return [f"CAP_{name}" for name in sorted(chosen if own else chosen & footing.capabilities_here())]
