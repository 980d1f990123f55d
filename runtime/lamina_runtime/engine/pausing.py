"""Let a container stand still, and go on.

Theory.  The freezer of a control group stops all at one instant, but is seldom ours to use; stopped
one by one, process 1 first, all stand still all the same, and see nothing of it but that their
parents get SIGCHLD.  So a container is paused when its process 1 is stopped, and nothing is written
down.

A command that pauses for a while only (`commit`) must not leave a container still when it is killed.
It holds a lock on `still` meanwhile, and has something in it; who finds that in a file that nobody holds
lets the container go on.  Everybody looks who asks whether a container is paused.
"""

from __future__ import annotations

import fcntl
import os

from lamina_runtime import contexts
from lamina_runtime.container import processes
from lamina_runtime.container.state import ConflictError
from lamina_runtime.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lamina_runtime.container.state import Container

_NOTE = "still"


def pause(container: Container) -> None:
    """Pause; ConflictError where it is paused already."""
    with container.turn(), _lock(container) as note:
        pid = _running(container)
        _mend(note, pid)
        if processes.is_paused(pid):
            raise ConflictError(f"container {container.record.name} is already paused")
        try:
            processes.freeze(pid)
        except BaseException:
            processes.thaw(pid)
            raise


def unpause(container: Container) -> None:
    """Let it go on; ConflictError where it is not paused."""
    with container.turn():
        pid = _running(container)
        if not is_paused(container, pid):
            raise ConflictError(f"container {container.record.name} is not paused")
        processes.thaw(pid)


def is_paused(container: Container, pid: int) -> bool:
    """Say whether a container stands still; one that nobody keeps so any more goes on."""
    if not processes.is_paused(pid):
        return False
    try:
        with _lock(container, wait=False) as note:
            return not _mend(note, pid)
    except BlockingIOError:
        return True  # who holds it lets the container go


@contexts.contextmanager
def paused(container: Container, pid: int) -> Iterator[None]:
    """Keep a container still while the block runs; one that is paused stays so.

    One at a time: who comes second would find it still, and see it go on before its end.
    """
    with _lock(container) as note:
        _mend(note, pid)
        if processes.is_paused(pid):
            yield
            return
        os.pwrite(note, b"1", 0)
        try:
            processes.freeze(pid)
            yield
        finally:
            processes.thaw(pid)
            os.ftruncate(note, 0)


@contexts.contextmanager
def _lock(container: Container, *, wait: bool = True) -> Iterator[int]:
    """Yield the note, held; BlockingIOError where somebody has it and is not to be waited for."""
    fd = os.open(container.data / _NOTE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield fd
    finally:
        os.close(fd)


def _mend(note: int, pid: int) -> bool:
    """Let go on what somebody kept still who has been killed; say whether there was such a one."""
    if not os.fstat(note).st_size:
        return False
    processes.thaw(pid)
    os.ftruncate(note, 0)
    return True


def _running(container: Container) -> int:
    pid = container.status().pid
    if not pid:
        raise processes.NotRunningError(container)
    return pid
