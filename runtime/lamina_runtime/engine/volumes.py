"""Volumes: directories that outlive the containers that use them.

Theory.  A volume is `volumes/NAME` below the root: `volume.json` says what it is, `_data` is what
containers see.  Who uses it is asked of the containers' records, never counted.  One lock keeps the
making of a container with its volumes and the removal of volumes apart, so that none is removed
between the two.

A volume without a name gets one of 64 digits and is anonymous: it goes with its container.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from typing import TYPE_CHECKING, Any

from lamina_runtime import contexts
from lamina_runtime.container.wishes import Mount
from lamina_runtime.engine import filters, inside, moments
from lamina_runtime.errors import LaminaError, NotFoundError, UsageError
from lamina_runtime.store import files
from lamina_runtime.value import replace, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lamina_runtime.container.collection import Containers
    from lamina_runtime.container.state import Container
    from lamina_runtime.container.wishes import Wishes
    from lamina_runtime.engine.context import Engine
    from lamina_runtime.store.images import Image

VERSION = 1
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}")
DRIVER = "local"
ANONYMOUS = "com.docker.volume.anonymous"  # docker's label
LIST_KEYS = ("dangling", "driver", "label", "name")
PRUNE_KEYS = ("all", "label", "label!")
_OPTIONS = ("type", "o", "device")


class VolumeError(LaminaError):
    """A volume that is in use, or cannot be as wished."""


@value
class Volume:
    """One volume."""

    name: str
    top: Path
    created: str  # RFC 3339
    labels: Mapping[str, str]
    options: Mapping[str, str]

    @property
    def place(self) -> Path:
        """Its directory on the host."""
        bound = self.options.get("device")
        return type(self.top)(bound) if bound else self.top / "_data"

    @property
    def anonymous(self) -> bool:
        """Whether it goes with its container."""
        return ANONYMOUS in self.labels

    def describe(self) -> dict[str, Any]:
        """Return what docker says of a volume."""
        return {
            "CreatedAt": self.created,
            "Driver": DRIVER,
            "Labels": dict(self.labels) or None,
            "Mountpoint": str(self.place),
            "Name": self.name,
            "Options": dict(self.options) or None,
            "Scope": DRIVER,
        }


def folder(engine: Engine) -> Path:
    """Return the directory of volumes; it need not exist."""
    return engine.root / "volumes"


@contexts.contextmanager
def changing(engine: Engine) -> Iterator[None]:
    """Keep others from making or removing volumes, and containers that have some."""
    folder(engine).mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder(engine) / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def find(engine: Engine, name: str) -> Volume:
    """Return a volume by its name."""
    top = folder(engine) / name
    try:
        if not NAME.fullmatch(name):
            raise FileNotFoundError
        kept = json.loads((top / "volume.json").read_bytes())
    except FileNotFoundError:
        raise NotFoundError(f"no such volume: {name}") from None
    if kept["version"] != VERSION:
        raise VolumeError(f"volume {name} was written by another version of lamina")
    return Volume(name, top, kept["created"], kept["labels"], kept["options"])


def every(engine: Engine) -> list[Volume]:
    """Return all volumes by their names."""
    found = []
    with contexts.suppress(FileNotFoundError):
        for name in sorted(os.listdir(folder(engine))):
            with contexts.suppress(NotFoundError):
                found.append(find(engine, name))
    return found


def create(engine: Engine, name: str, *, labels: Mapping[str, str], options: Mapping[str, str]) -> Volume:
    """Make a volume, one of 64 digits for ""; one that is there with the same options is taken."""
    with changing(engine):
        return _create(engine, name, labels=labels, options=options)


def _create(engine: Engine, name: str, *, labels: Mapping[str, str], options: Mapping[str, str]) -> Volume:
    if not name:
        name, labels = secrets.token_hex(32), {ANONYMOUS: "", **labels}
    if not NAME.fullmatch(name):
        raise UsageError(
            f'"{name}" includes invalid characters for a local volume name, '
            'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed'
        )
    _check(options)
    with contexts.suppress(NotFoundError):
        found = find(engine, name)
        if options and dict(found.options) != dict(options):
            raise VolumeError(f"volume {name} exists already with other options")
        return found
    top = folder(engine) / name
    data = top / "_data"
    data.mkdir(mode=0o755, parents=True, exist_ok=True)
    data.chmod(0o755)
    text = {"version": VERSION, "created": moments.now(), "labels": dict(labels), "options": dict(options)}
    files.replace(top / "volume.json", json.dumps(text).encode(), temporary=top)
    return find(engine, name)


def _check(options: Mapping[str, str]) -> None:
    """Refuse a file system of the volume's own; a directory of the host may be one."""
    for name in options:
        if name not in _OPTIONS:
            raise UsageError(f"invalid option for the driver local: {name!r}")
    if not options:
        return
    device = options.get("device", "")
    words = set(options.get("o", "").split(","))
    if options.get("type", "none") != "none" or not {"bind", "rbind"} & words:
        raise UsageError(
            "a volume is a directory: type=none,o=bind,device=DIRECTORY is possible, a file system is not",
            hint="--mount type=tmpfs for a file system in memory",
        )
    if not device.startswith("/") or not os.path.isdir(device):
        raise UsageError(f"no such directory: {device!r}")


def prepared(engine: Engine, image: Image, wishes: Wishes) -> Wishes:
    """Return wishes whose volumes all have names and are there; the lock is the caller's.

    The image's own volumes come to those that were wished, unless something else is mounted there.
    """
    mounts = [*wishes.mounts]
    taken = {os.path.normpath(mount.target) for mount in mounts}
    for path in image.config.config.volumes:
        target = os.path.normpath("/" + path.strip("/"))
        if target == "/":
            raise UsageError(f"invalid volume {path!r} of the image: its destination is /")
        if target not in taken:
            taken.add(target)
            mounts.append(Mount("volume", "", target))
    made = []
    for mount in mounts:
        if mount.kind == "volume":
            labels = dict(word[6:].split("=", 1) for word in mount.options if word.startswith("label="))
            driver = dict(word[4:].split("=", 1) for word in mount.options if word.startswith("opt="))
            volume = _create(engine, mount.source, labels=labels, options=driver)
            kept = tuple(word for word in mount.options if not word.startswith(("label=", "opt=")))
            mount = replace(mount, source=volume.name, options=kept)  # noqa: PLW2901
        made.append(mount)
    return replace(wishes, mounts=tuple(made))


def taken_from(known: Containers, words: Sequence[str], wishes: Wishes) -> Wishes:
    """Return wishes with the mounts of other containers, CONTAINER[:ro|rw], where there is none yet."""
    mounts = [*wishes.mounts]
    for word in words:
        name, _, mode = word.partition(":")
        if mode not in ("", "ro", "rw", "z", "Z"):
            raise UsageError(f"invalid mode: {mode}")
        for mount in known.find(name).record.wishes.mounts:
            if mount.kind == "tmpfs" or any(_same(mount.target, other.target) for other in mounts):
                continue
            options = (*mount.options, "ro") if mode == "ro" and "ro" not in mount.options else mount.options
            mounts.append(replace(mount, options=options))
    return replace(wishes, mounts=tuple(mounts))


def _same(one: str, other: str) -> bool:
    return os.path.normpath(one) == os.path.normpath(other)


def populate(engine: Engine, settings: str, wishes: Wishes) -> None:
    """Copy what the image has into the volumes that are empty; the lock is the caller's."""
    mapped = engine.ids
    for mount in wishes.mounts:
        if mount.kind != "volume" or "nocopy" in mount.options or mount.subpath:
            continue
        volume = find(engine, mount.source)
        if volume.options or any(True for _ in _entries(volume.place)):
            continue
        task = {"operation": "populate", "image": settings, "path": mount.target, "volume": str(volume.place)}
        if _has(settings, mount.target):
            inside.answer(task, mapped)


def _has(settings: str, path: str) -> bool:
    """Whether an image has a directory there; only then is a process worth its while."""
    from lamina_runtime.container.below import Below
    from lamina_runtime.container.populating import resolve

    with Below(settings) as below:
        found = resolve(below, os.fsencode(path))
        return found is not None and found.is_directory


def _entries(path: Path) -> Iterator[str]:
    try:
        yield from os.listdir(path)
    except PermissionError:
        yield "?"  # somebody with another id has taken it


def places(engine: Engine, wishes: Wishes) -> dict[str, str]:
    """Return {name: directory} of the volumes of a container that starts."""
    names = {mount.source for mount in wishes.mounts if mount.kind == "volume"}
    return {name: str(find(engine, name).place) for name in names}


def users(containers: Sequence[Container], name: str) -> list[Container]:
    """Return the containers that have a volume, running or not."""
    return [one for one in containers if any(
        mount.kind == "volume" and mount.source == name for mount in one.record.wishes.mounts
    )]  # fmt: skip


def remove(engine: Engine, known: Containers, name: str, *, force: bool) -> None:
    """Remove a volume that no container has; with `force` one that is not there is fine."""
    with changing(engine):
        try:
            volume = find(engine, name)
        except NotFoundError:
            if not force:
                raise
            return
        using = users(known.list(), name)
        if using:
            names = ", ".join(one.id for one in using)
            raise VolumeError(f"unable to remove volume: remove {name}: volume is in use - [{names}]")
        _remove(engine, volume)


def remove_anonymous(engine: Engine, known: Containers, wishes: Wishes) -> None:
    """Remove the volumes that went with a container which is gone, unless others have them."""
    with changing(engine):
        for mount in wishes.mounts:
            if mount.kind != "volume":
                continue
            with contexts.suppress(NotFoundError):
                volume = find(engine, mount.source)
                if volume.anonymous and not users(known.list(), volume.name):
                    _remove(engine, volume)


def _remove(engine: Engine, volume: Volume) -> None:
    """Remove a volume: first what makes it one."""
    files.remove(volume.top / "volume.json")
    mapped = engine.ids
    data = volume.top / "_data"
    if mapped.uids and any(True for _ in _entries(data)):
        inside.answer({"operation": "remove", "target": str(data)}, mapped)
    files.remove_tree(volume.top)


def chosen(engine: Engine, containers: Sequence[Container], words: Sequence[str]) -> list[Volume]:
    """Return the volumes that pass the filters of `volume ls`."""
    wanted = filters.parse(words, LIST_KEYS)
    tests: list[Callable[[Volume], bool]] = [labelled(label) for label in wanted.get("label", ())]
    if "dangling" in wanted:
        dangling = filters.switch(wanted, "dangling")
        tests.append(lambda one: (not users(containers, one.name)) is dangling)
    if "driver" in wanted:
        tests.append(lambda _: DRIVER in wanted["driver"])
    if "name" in wanted:
        tests.append(lambda one: any(text in one.name for text in wanted["name"]))
    return [one for one in every(engine) if all(test(one) for test in tests)]


def labelled(text: str) -> Callable[[Volume], bool]:
    """Return the test of a label filter: NAME or NAME=VALUE."""
    name, equals, wanted = text.partition("=")
    return lambda one: name in one.labels and (not equals or one.labels[name] == wanted)


def prune(
    engine: Engine, known: Containers, words: Sequence[str], *, everything: bool
) -> tuple[list[str], int]:
    """Remove the anonymous volumes that no container has, or all of those; return names and bytes."""
    wanted = filters.parse(words, PRUNE_KEYS)
    everything = everything or ("all" in wanted and filters.switch(wanted, "all"))
    kept = [labelled(label) for label in wanted.get("label", ())]
    gone = [labelled(label) for label in wanted.get("label!", ())]
    removed, freed = [], 0
    with changing(engine):
        containers = known.list()
        for one in every(engine):
            if not (everything or one.anonymous) or users(containers, one.name):
                continue
            if not all(test(one) for test in kept) or any(test(one) for test in gone):
                continue
            freed += 0 if one.options else size(one)
            _remove(engine, one)
            removed.append(one.name)
    return removed, freed


def size(volume: Volume) -> int:
    """Return the bytes in a volume, as far as they can be seen."""
    total = 0
    for _, _, names, fd in os.fwalk(volume.place, follow_symlinks=False, onerror=lambda _: None):
        for name in names:
            with contexts.suppress(OSError):
                total += os.stat(name, dir_fd=fd, follow_symlinks=False).st_size
    return total
