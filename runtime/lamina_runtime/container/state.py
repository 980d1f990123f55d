"""What is known of containers: files, so that every command can be a process of its own.

Theory.  A container has two directories.  `data/containers/ID` survives a reboot: `record.json`
(what it is), the bundle, the upper, `log`, and from the launcher `pid` and `exit`.
`run/containers/ID` does not: the mount point, the socket to attach to.  A name is a symbolic link
in `data/names`, made by one call that fails if it is there.

Nobody writes down that a container runs.  Its monitor holds a lock on the data directory for as
long as it lives (native/launch/state.h), and the rest follows:

    locked, pid                running
    locked                     starting, or ending
    exit                       exited with that status
    exit, restarting           the same, and a process that lives waits to start it again
    free, pid, no exit         its monitor was killed, or the machine went down: exited, 255
    free, neither, starter     starting: a process that lives is about to
    free, neither              created

Commands that change a container take turns on `lock`.
"""

from __future__ import annotations

import fcntl
import os

from lamina_runtime import contexts
from lamina_runtime.container.wishes import Wishes
from lamina_runtime.errors import LaminaError, NotFoundError
from lamina_runtime.fspath import Path
from lamina_runtime.oci.digest import Digest
from lamina_runtime.store import files
from lamina_runtime.store.lease import start_time
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

VERSION = 1
LONGEST = 256  # bytes of what the launcher notes
OF_A_RUN = ("pid", "exit", "driver", "health", "oom", "failure", "still")  # the next run has them anew
OF_RESTARTS = ("stopped", "restarts")
LOST = 255  # the status of a container whose end nobody saw, as docker gives it


class ConflictError(LaminaError):
    """A name is taken, or a container is not in the state that this needs."""


@value
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
    def from_json(cls, kept: dict[str, Any]) -> Record:
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


@value
class Status:
    """How a container is at this moment."""

    kind: str  # "created", "starting", "running", "restarting", "exited"
    pid: int = 0  # of its first process, while it runs
    code: int = 0  # once it exited
    started: float = 0.0  # seconds since the epoch, 0 if never
    finished: float = 0.0


@value
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
        if finished:  # what still holds the lock has nothing more to say
            wanted = self.is_wanted_again(code) and self._process("restarting")[0]
            kind = "restarting" if wanted else "exited"
            return Status(kind, 0, code, started, finished)
        if held:
            return Status("running", pid, 0, started) if pid else Status("starting")
        if pid:  # it began while we looked, or has outlived its monitor
            return Status("running", pid, 0, started)
        if started:
            return Status("exited", 0, LOST, started, started)
        return Status("starting" if self._process("starter")[0] else "created")

    @contexts.contextmanager
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
        for name in (*OF_A_RUN, *(() if again else OF_RESTARTS)):
            files.remove(self.data / name)

    def note_stop(self) -> None:
        """Keep a restart policy from starting it again."""
        try:
            (self.data / "stopped").touch(mode=files.MODE)
        except FileNotFoundError:  # somebody has just removed it
            raise NotFoundError(f"no such container: {self.record.name}") from None

    def was_stopped(self) -> bool:
        """Say whether somebody wished its end since it was last started by hand."""
        return (self.data / "stopped").exists()

    def was_short_of_memory(self) -> bool:
        """Say whether the kernel killed a process of its last run for its limit of memory."""
        return (self.data / "oom").exists()

    @contexts.contextmanager
    def failures_noted(self) -> Iterator[None]:
        """Keep why a start failed."""
        try:
            yield
        except LaminaError as failure:
            text = f"{failure.exit_code} {failure}"
            (self.data / "failure").write_text(text, encoding="utf-8", errors="replace")
            raise

    def failure(self) -> tuple[int, str]:
        """Return the status and the reason of the last start, if it failed; else 0 and nothing."""
        try:
            text = (self.data / "failure").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return 0, ""
        status, _, reason = text.partition(" ")
        return (int(status) if status.isdecimal() else LOST), reason

    def restarts(self) -> int:
        """Return how often a restart policy has started it."""
        try:
            return int((self.data / "restarts").read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return 0

    @contexts.contextmanager
    def claimed(self, what: str) -> Iterator[None]:
        """Say that this process is about to start it: "starter", or "restarting" after a pause."""
        line = f"{os.getpid()} {start_time(os.getpid())} {_boot()}\n"
        (self.data / what).write_text(line, encoding="ascii")  # half a line names nobody
        try:
            yield
        finally:
            files.remove(self.data / what)

    def is_wanted_again(self, code: int) -> bool:
        """Say whether it is to be started again after an end with that status."""
        kind, _, limit = self.record.wishes.restart.partition(":")
        if not kind or self.was_stopped():
            return False
        if kind == "on-failure":
            return code != 0 and (not limit or self.restarts() < int(limit))
        return kind in ("always", "unless-stopped")

    def driver(self) -> int:
        """Return the process that serves its files; 0 if there is none."""
        return self._process("driver")[0]

    def _pid(self) -> tuple[int, float]:
        return self._process("pid")

    def _process(self, name: str) -> tuple[int, float]:
        """Return the process that a file names, 0 if it is gone, and when that was written."""
        try:
            with (self.data / name).open("rb") as file:
                pid, start, boot = [*file.read(LONGEST).decode("ascii").split(), "", "", ""][:3]
                written = os.fstat(file.fileno()).st_mtime
        except (FileNotFoundError, UnicodeDecodeError):
            return 0, 0.0
        alive = boot == _boot() and pid.isdecimal() and str(start_time(int(pid))) == start
        return int(pid) if alive else 0, written

    def _exit(self) -> tuple[int, float]:
        try:
            with (self.data / "exit").open("rb") as file:
                return int(file.read(LONGEST).decode("ascii")), os.fstat(file.fileno()).st_mtime
        except (FileNotFoundError, ValueError):  # as good as none: nobody knows how it ended
            return 0, 0.0


def _boot() -> str:
    with contexts.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""
