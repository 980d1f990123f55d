"""A driver that starts while we find out what it is to mount.

Theory.  Half of what a mount takes is a Python that starts and imports: the driver's.  So it is
started first and told what to do as soon as that is known; two processors are then at work.  It waits
for its arguments on a pipe (`--arguments-fd`) and ends where none come.  From the start it is a process
of its own session in the root directory.
"""

from __future__ import annotations

import os
import select
import sys

from lamina_runtime import contexts
from lamina_runtime.quick import signal
from lamina_runtime.store.lease import start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

END_SECONDS = 30.0
LARGEST_WORD = 4096


class Driver:
    """One that has started."""

    def __init__(self, pid: int, arguments: int, ready: tuple[int, int], errors: int) -> None:
        """Take its process, where it reads, the pipe on which it says that the mount is usable, its stderr.

        Of the pipe the second number is the driver's own.
        """
        self.pid = pid
        self._arguments, self._ready, self._errors = arguments, ready, errors

    def tell(self, words: Sequence[str]) -> None:
        """Say what to do; that it has died meanwhile is found out when it is waited for."""
        text = "".join(f"{word}\0" for word in ("-f", f"--ready-fd={self._ready[1]}", *words))
        data = memoryview(os.fsencode(text))
        with contexts.suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._arguments, data) :]
        os.close(self._arguments)
        self._arguments = -1

    def is_usable(self, seconds: float) -> bool | None:
        """Wait until the mount is usable; False if it is not to be, None if nothing comes in time."""
        if not select.select([self._ready[0]], [], [], seconds)[0]:
            return None
        return os.read(self._ready[0], 1) == b"\0"

    def complaint(self) -> str:
        """Return what it said before it had a log."""
        return os.pread(self._errors, LARGEST_WORD, 0).decode("utf-8", "replace").strip()

    def end(self) -> None:
        """End it, and its mount with it."""
        with contexts.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGTERM)
            if ended(self.pid, END_SECONDS):
                os.waitpid(self.pid, 0)

    def close(self) -> None:
        """Let go of it; it lives on if it was told what to do."""
        for fd in (self._arguments, self._ready[0], self._errors):
            if fd >= 0:
                os.close(fd)


@contexts.contextmanager
def started() -> Iterator[Driver]:
    """Start a driver and yield it; it ends if the block fails or tells it nothing."""
    driver = _spawned()
    try:
        yield driver
    except BaseException:
        driver.end()
        raise
    finally:
        driver.close()


def ended(pid: int, seconds: float, *, began: int | None = None) -> bool:
    """Wait for the end of a process, of the one that began then; say whether it came in time."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if began is not None and start_time(pid) != began:
            return True
        return bool(select.select([fd], [], [], seconds)[0])
    finally:
        os.close(fd)


def _spawned() -> Driver:
    import lamina_unionfs

    script = os.path.join(os.path.dirname(str(lamina_unionfs.__file__)), "start.py")
    theirs, arguments = os.pipe()
    ready = os.pipe()
    errors = os.memfd_create("errors")
    for fd in (theirs, ready[1]):
        os.set_inheritable(fd, True)  # noqa: FBT003 - its only argument
    words = [sys.executable, "-I", "-S", script, f"--arguments-fd={theirs}"]
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir("/")  # the server must not hold the caller's directory
        pid = os.posix_spawn(
            words[0],
            words,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, errors, 1),
                (os.POSIX_SPAWN_DUP2, errors, 2),
            ],
            setsid=True,
        )
    except BaseException:
        for fd in (arguments, ready[0], errors):
            os.close(fd)
        raise
    finally:
        os.fchdir(here)
        for fd in (here, theirs, ready[1]):
            os.close(fd)
    return Driver(pid, arguments, ready, errors)
