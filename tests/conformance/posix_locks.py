"""Locks of all three kinds, and inotify."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import eq, fails, forked, opened
from tests.support import tree
from tests.support.syscalls import IN_CREATE, IN_DELETE, IN_MODIFY, IN_MOVED_FROM, IN_MOVED_TO, inotify

CASES = Table()
NOW = fcntl.LOCK_NB
_FLOCK = "hhqqi4x"  # struct flock with 64-bit offsets


@CASES.case({"f": "x"})
def flock_excludes_other_descriptors(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as one, opened(top / "f", os.O_RDONLY) as two:
        fcntl.flock(one, fcntl.LOCK_EX | NOW)
        with fails(errno.EAGAIN):
            fcntl.flock(two, fcntl.LOCK_SH | NOW)
        fcntl.flock(one, fcntl.LOCK_SH | NOW)
        fcntl.flock(two, fcntl.LOCK_SH | NOW)
        with fails(errno.EAGAIN):
            fcntl.flock(two, fcntl.LOCK_EX | NOW)
        fcntl.flock(one, fcntl.LOCK_UN)
        fcntl.flock(two, fcntl.LOCK_EX | NOW)


@CASES.case({"f": "x"})
def flock_goes_with_the_last_descriptor(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as two:
        one = os.open(top / "f", os.O_RDWR)
        copy = os.dup(one)
        fcntl.flock(one, fcntl.LOCK_EX | NOW)
        os.close(one)
        with fails(errno.EAGAIN):
            fcntl.flock(two, fcntl.LOCK_EX | NOW)
        os.close(copy)
        fcntl.flock(two, fcntl.LOCK_EX | NOW)


@CASES.case({"d/": tree.directory()})
def directories_can_be_flocked(top: Path) -> None:
    with opened(top / "d", os.O_RDONLY) as one, opened(top / "d", os.O_RDONLY) as two:
        fcntl.flock(one, fcntl.LOCK_EX | NOW)
        with fails(errno.EAGAIN):
            fcntl.flock(two, fcntl.LOCK_SH | NOW)


@CASES.case({"f": "0123456789"})
def posix_locks_exclude_other_processes(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd:
        fcntl.lockf(fd, fcntl.LOCK_EX | NOW, 5, 0)

        def other() -> None:
            with opened(top / "f", os.O_RDWR) as mine:
                with fails(errno.EAGAIN, errno.EACCES):
                    fcntl.lockf(mine, fcntl.LOCK_EX | NOW, 2, 4)
                fcntl.lockf(mine, fcntl.LOCK_EX | NOW, 5, 5)
                asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                kind, _, start, length, owner = struct.unpack(_FLOCK, fcntl.fcntl(mine, fcntl.F_GETLK, asked))
                eq((kind, start, length, owner), (fcntl.F_WRLCK, 0, 5, os.getppid()))

        forked(other)
        fcntl.lockf(fd, fcntl.LOCK_UN)

        def free() -> None:
            with opened(top / "f", os.O_RDWR) as mine:
                fcntl.lockf(mine, fcntl.LOCK_EX | NOW)

        forked(free)


@CASES.case({"f": "x"})
def posix_locks_end_with_any_close(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as fd:
        fcntl.lockf(fd, fcntl.LOCK_EX | NOW)
        os.close(os.open(top / "f", os.O_RDONLY))

        def free() -> None:
            with opened(top / "f", os.O_RDWR) as mine:
                fcntl.lockf(mine, fcntl.LOCK_EX | NOW)

        forked(free)


def _ofd(fd: int, kind: int, start: int = 0, length: int = 0) -> None:
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0))


@CASES.case({"f": "x"})
def ofd_locks_belong_to_descriptors(top: Path) -> None:
    with opened(top / "f", os.O_RDWR) as one, opened(top / "f", os.O_RDWR) as two:
        _ofd(one, fcntl.F_WRLCK, 0, 10)
        with fails(errno.EAGAIN):
            _ofd(two, fcntl.F_RDLCK, 9, 1)
        _ofd(two, fcntl.F_WRLCK, 10, 1)
        os.close(os.open(top / "f", os.O_RDONLY))
        with fails(errno.EAGAIN):
            _ofd(two, fcntl.F_WRLCK, 0, 1)
        _ofd(one, fcntl.F_UNLCK)
        _ofd(two, fcntl.F_WRLCK)


@CASES.case({"f": "x"})
def lock_of_a_reader_excludes_the_writer_that_copies_up(top: Path) -> None:
    with opened(top / "f", os.O_RDONLY) as reader:
        fcntl.flock(reader, fcntl.LOCK_SH | NOW)
        with opened(top / "f", os.O_RDWR) as writer:
            os.write(writer, b"new")
            with fails(errno.EAGAIN):
                fcntl.flock(writer, fcntl.LOCK_EX | NOW)


def _events(fd: int, act: Callable[[], object]) -> set[tuple[int, bytes]]:
    act()
    data = os.read(fd, 65536)
    found, at = set(), 0
    while at < len(data):
        _, mask, _, length = struct.unpack_from("iIII", data, at)
        found.add((mask & 0xFFF, data[at + 16 : at + 16 + length].rstrip(b"\0")))
        at += 16 + length
    return found


@CASES.case({"d/": tree.directory(), "d/f": "x", "d/g": "y"})
def inotify_tells_of_changes(top: Path) -> None:
    mask = IN_CREATE | IN_MODIFY | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO
    fd = inotify(top / "d", mask)
    eq(_events(fd, lambda: (top / "d" / "n").write_text("")), {(IN_CREATE, b"n")})
    eq(_events(fd, lambda: (top / "d" / "n").write_text("x")), {(IN_MODIFY, b"n")})
    moved = {(IN_MOVED_FROM, b"f"), (IN_MOVED_TO, b"m")}
    eq(_events(fd, lambda: os.rename(top / "d" / "f", top / "d" / "m")), moved)
    eq(_events(fd, lambda: os.unlink(top / "d" / "g")), {(IN_DELETE, b"g")})
    os.close(fd)


@CASES.case({"f": "x"})
def inotify_on_a_file_survives_a_change(top: Path) -> None:
    with opened(top / "f", os.O_WRONLY) as writer:
        fd = inotify(top / "f", IN_MODIFY)
        eq(_events(fd, lambda: os.write(writer, b"new")), {(IN_MODIFY, b"")})
        os.close(fd)
