"""Who may change the store at the same time.

Theory.  Everything that adds, and everything that looks in order to rely on what it sees, takes
the lock together with others; what takes away (collect, dedup) takes it alone.  So nothing is
swept between being looked at and being noted in a lease.  The lock is held for moments, not for
the length of a transfer: what is under way is protected by locks of its own in `temporary/`.

flock(2) belongs to an open file, so each taking opens the file again; that makes it serve threads
as well as processes.  Together it is opened for reading only, so that a store on a read-only file
system can be looked at; alone it is opened for writing, which NFS asks of exclusive locks.  Taking
it alone while holding it together would wait for itself: nothing that runs under alone() calls what
uses together().
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def together(path: Path) -> Iterator[None]:
    """Hold the lock with others; waits for who holds it alone."""
    with _held(path, fcntl.LOCK_SH):
        yield


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock and keep everyone else out; waits for them."""
    with _held(path, fcntl.LOCK_EX):
        yield


@contextlib.contextmanager
def _held(path: Path, how: int) -> Iterator[None]:
    mode = os.O_RDONLY if how == fcntl.LOCK_SH else os.O_RDWR
    fd = os.open(path, mode | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, how)
        yield
    finally:
        os.close(fd)
