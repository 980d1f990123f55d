"""What is known of containers: files, so that every command can be a process of its own.

Theory.  A container has two directories.  `data/containers/ID` survives a reboot: `record.json`
(what it is), the bundle, the upper, `log`, and from the launcher `pid` and `exit`.
`run/containers/ID` does not: the mount point, the socket to attach to.  A name is a symbolic link
in `data/names`, made by one call that fails if it is there.

Nobody writes down that a container runs.  Its monitor holds a lock on the data directory for as
long as it lives (native/launch/state.h), and the rest follows:

    locked, pid                running
    locked                     starting, or ending
    free, exit                 exited with that status
    free, pid, no exit         its monitor was killed, or the machine went down: exited, 255
    free, neither              created

Commands that change a container take turns on `lock`.
"""

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lamina_runtime.container.wishes import Wishes
from lamina_runtime.errors import LaminaError, NotFoundError, UsageError
from lamina_runtime.oci.digest import Digest
from lamina_runtime.store import files
from lamina_runtime.store.lease import start_time

VERSION = 1
LOST = 255  # the status of a container whose end nobody saw, as docker gives it
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")  # docker's
_ID = re.compile(r"[0-9a-f]{1,64}")


class ConflictError(LaminaError):
    """A name is taken, or a container is not in the state that this needs."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a container is, from its making to its removal."""

    id: str
    name: str
    image: Digest
    image_name: str
    created: str  # RFC 3339
    wishes: Wishes
    command: tuple[str, ...] = ()  # what runs, the image's entrypoint and command taken in

    def to_json(self) -> dict[str, Any]:
        """Return the object to keep."""
        plain = {key: getattr(self, key) for key in ("id", "name", "image_name", "created")}
        return {
            "version": VERSION,
            **plain,
            "image": str(self.image),
            "command": list(self.command),
            "wishes": self.wishes.to_json(),
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Record":
        """Read what to_json() wrote."""
        if kept["version"] != VERSION:
            raise LaminaError(f"container {kept['id'][:12]} was written by another version of lamina")
        plain = {key: kept[key] for key in ("id", "name", "image_name", "created")}
        return cls(
            **plain,
            image=Digest.parse(kept["image"]),
            wishes=Wishes.from_json(kept["wishes"]),
            command=tuple(kept.get("command", ())),
        )


@dataclass(frozen=True, slots=True)
class Status:
    """How a container is at this moment."""

    kind: str  # "created", "starting", "running", "exited"
    pid: int = 0  # of its first process, while it runs
    code: int = 0  # once it exited
    started: float = 0.0  # seconds since the epoch, 0 if never
    finished: float = 0.0


@dataclass(frozen=True, slots=True)
class Container:
    """One container's places and record."""

    record: Record
    data: Path
    run: Path

    @property
    def id(self) -> str:
        """The 64 digits."""
        return self.record.id

    def status(self) -> Status:
        """Return how it is.  Nothing is written."""
        held = files.is_held(self.data)
        pid, started = self._pid()
        code, finished = self._exit()
        if held and finished:
            return Status("exited", 0, code, started, finished)
        if held:
            return Status("running", pid, 0, started) if pid else Status("starting")
        if finished:
            return Status("exited", 0, code, started, finished)
        if pid:  # it began while we looked, or has outlived its monitor
            return Status("running", pid, 0, started)
        return Status("exited", 0, LOST, started, started) if started else Status("created")

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Keep other commands from changing this container."""
        fd = os.open(self.data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if not (self.data / "record.json").exists():
                raise NotFoundError(f"no such container: {self.record.name}")
            yield
        finally:
            os.close(fd)

    def forget_run(self, *, again: bool = False) -> None:
        """Before it is started again: what the last run left; all of it, unless a policy wants it."""
        for name in ("pid", "exit", *(() if again else ("stopped", "restarts"))):
            files.remove(self.data / name)

    def note_stop(self) -> None:
        """Keep a restart policy from starting it again."""
        (self.data / "stopped").touch(mode=files.MODE)

    def was_stopped(self) -> bool:
        """Say whether somebody wished its end since it was last started by hand."""
        return (self.data / "stopped").exists()

    def restarts(self) -> int:
        """Return how often a restart policy has started it."""
        try:
            return int((self.data / "restarts").read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return 0

    def _pid(self) -> tuple[int, float]:
        try:
            with (self.data / "pid").open(encoding="ascii") as file:
                pid, start, boot = [*file.read().split(), "", "", ""][:3]
                written = os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return 0, 0.0
        alive = boot == _boot() and pid.isdecimal() and str(start_time(int(pid))) == start
        return int(pid) if alive else 0, written

    def _exit(self) -> tuple[int, float]:
        try:
            with (self.data / "exit").open(encoding="ascii") as file:
                return int(file.read()), os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return 0, 0.0


class Containers:
    """All containers of one user."""

    def __init__(self, data: Path, run: Path) -> None:
        self._data, self._run, self._names = data / "containers", run / "containers", data / "names"
        for path in (self._data, self._names, self._run):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def create(
        self,
        *,
        image: Digest,
        image_name: str,
        created: str,
        wishes: Wishes,
        command: tuple[str, ...] = (),
        name: str = "",
    ) -> Container:
        """Make a container; ConflictError if the name is taken.  A name is found where none is given."""
        if name and not NAME.fullmatch(name):
            raise UsageError(f"invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
        new = secrets.token_hex(32)
        data = self._data / new
        data.mkdir(mode=0o700)
        try:
            while True:
                record = Record(new, name or _invented(), image, image_name, created, wishes, command)
                _keep(record, data)  # before its name: a name without a record is free to take
                try:
                    self._take(record.name, new)
                except ConflictError:
                    if name:
                        raise
                else:
                    return Container(record, data, self._run / new)
        except BaseException:
            self._release(new)
            shutil.rmtree(data)
            raise

    def rename(self, container: Container, name: str) -> None:
        """Give it another name; ConflictError if that is taken."""
        if not NAME.fullmatch(name):
            raise UsageError(f"invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
        old = container.record
        self._take(name, old.id)
        record = replace(old, name=name)
        _keep(record, container.data)
        files.remove(self._names / old.name)

    def find(self, text: str) -> Container:
        """Return the container of a name, an id, or the beginning of one id only."""
        with contextlib.suppress(OSError):
            return self._load(os.readlink(self._names / text.removeprefix("/")))
        matches = []
        if _ID.fullmatch(text):
            matches = [name for name in os.listdir(self._data) if name.startswith(text)]
        if len(matches) > 1:
            raise UsageError(f"more than one container begins with {text}")
        if not matches:
            raise NotFoundError(f"no such container: {text}")
        return self._load(matches[0])

    def list(self) -> list[Container]:
        """Return all, the newest first."""
        found = []
        for name in os.listdir(self._data):
            with contextlib.suppress(NotFoundError):  # being made, or removed
                found.append(self._load(name))
        return sorted(found, key=lambda one: one.record.created, reverse=True)

    def forget(self, container: Container) -> None:
        """Remove all that is known of a container, which must not run and have nothing mounted."""
        files.remove(container.data / "record.json")
        self._release(container.id)
        for path in (container.run, container.data):
            if path.exists():
                shutil.rmtree(path)

    def _load(self, name: str) -> Container:
        try:
            kept = json.loads((self._data / name / "record.json").read_bytes())
        except FileNotFoundError:
            raise NotFoundError(f"no such container: {name[:12]}") from None
        return Container(Record.from_json(kept), self._data / name, self._run / name)

    def _take(self, name: str, owner: str) -> None:
        try:
            os.symlink(owner, self._names / name)
        except FileExistsError:
            holder = os.readlink(self._names / name)
            if (self._data / holder / "record.json").exists():
                raise ConflictError(
                    f'the container name "{name}" is already in use by container "{holder[:12]}"',
                    hint="remove or rename that container, or choose another name",
                ) from None
            files.remove(self._names / name)  # left by a command that was killed
            self._take(name, owner)

    def _release(self, owner: str) -> None:
        for path in self._names.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(path) == owner:
                    files.remove(path)


def _keep(record: Record, data: Path) -> None:
    text = json.dumps(record.to_json(), indent=1).encode()
    files.replace(data / "record.json", text, temporary=data)


def _invented() -> str:
    return f"{secrets.choice(_MANNERS)}_{secrets.choice(_LAYERS)}"


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


_MANNERS = (
    "able amber ample bold brave bright brisk calm clear clever cool crisp deep eager early fair fine fond "
    "free fresh gentle glad golden grand green happy hardy keen kind light lively lucid mellow merry mild "
    "neat noble plain polite proud quick quiet ready sharp silent silver sleek smart smooth snug solid "
    "steady still strong sunny swift tidy true vivid warm wise witty"
).split()
_LAYERS = (
    "agate amber basalt beryl birch cedar chalk cherry clay coal cobalt copper coral cork crust dune ebony "
    "elm felt flint foil fossil garnet glacier gneiss granite gravel gypsum hazel ivory jade jasper larch "
    "lava leaf loam loess maple marble marl mica moss oak onyx opal peat pearl pebble pine quartz reed ruby "
    "sand shale silk silt slate snow spruce strata topaz tuff varve veneer walnut willow"
).split()
