"""Who may change the store at the same time.

Theory.  Everything that adds, and everything that looks in order to rely on what it sees, takes
`lock` together with others; what takes away (collect, dedup) takes it alone.  So nothing is
swept between being looked at and being noted in a lease.  The lock is held for moments, not for
the length of a transfer: what is under way is protected by locks of its own in `temporary/`.

That does not order those who add among themselves.  Blobs, layers and metadata need no order: they
are named by their content, so whoever comes second brings the same.  Records of images and names
do: which image a name stands for, and whether it is there, are looked at before they are written.
So who changes records holds `records.lock` alone as well, from the look to the last write.  `lock`
comes first, then `records.lock`.

flock(2) belongs to an open file, so each taking opens the file again; that makes it serve threads
as well as processes.  Together it is opened for reading only, so that a store on a read-only file
system can be looked at; alone it is opened for writing, which NFS asks of exclusive locks.  What a
thread holds it does not take again (`Held`); so who holds the records may call whatever looks.
"""

from __future__ import annotations

import fcntl
import os
from _thread import _local

from lamina_runtime import contexts
from lamina_runtime.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lamina_runtime.fspath import Path


class Held:
    """One lock file, for the threads of one process: a thread that has it does not wait for itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mine = _local()

    @contexts.contextmanager
    def together(self) -> Iterator[None]:
        """Hold it at least with others."""
        if getattr(self._mine, "held", False):
            yield
        else:
            with self._noted(alone=False), together(self._path):
                yield

    @contexts.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold it alone; who has it together must not ask."""
        if getattr(self._mine, "alone", False):
            yield
        else:
            assert not getattr(self._mine, "held", False), f"{self._path.name}: would wait for itself"
            with self._noted(alone=True), alone(self._path):
                yield

    @contexts.contextmanager
    def _noted(self, *, alone: bool) -> Iterator[None]:
        self._mine.held, self._mine.alone = True, alone
        try:
            yield
        finally:
            self._mine.held = self._mine.alone = False


@contexts.contextmanager
def together(path: Path) -> Iterator[None]:
    """Hold the lock with others; waits for who holds it alone."""
    with _held(path, fcntl.LOCK_SH):
        yield


@contexts.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock and keep everyone else out; waits for them."""
    with _held(path, fcntl.LOCK_EX):
        yield


@contexts.contextmanager
def _held(path: Path, how: int) -> Iterator[None]:
    mode = os.O_RDONLY if how == fcntl.LOCK_SH else os.O_RDWR | os.O_CREAT
    try:
        fd = os.open(path, mode | os.O_CLOEXEC, files.MODE)
    except FileNotFoundError:  # nobody has ever held it alone
        yield
        return
    try:
        fcntl.flock(fd, how)
        yield
    finally:
        os.close(fd)
