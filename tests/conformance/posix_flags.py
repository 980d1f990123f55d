"""Inode flags (chattr) through ioctl."""

from __future__ import annotations

import array
import errno
import fcntl
import os
from pathlib import Path

from tests.conformance.case import Table
from tests.conformance.check import eq, fails, opened, read
from tests.support import tree

CASES = Table()
GETFLAGS, SETFLAGS = 0x80086601, 0x40086602
NODUMP, NOATIME, APPEND, IMMUTABLE = 0x40, 0x80, 0x20, 0x10
FIELDS = NODUMP | NOATIME | APPEND | IMMUTABLE


def _get(path: Path) -> int:
    with opened(path, os.O_RDONLY | os.O_NONBLOCK) as fd:
        word = array.array("I", [0, 0])
        fcntl.ioctl(fd, GETFLAGS, word)
        return word[0]


def _set(path: Path, flags: int) -> None:
    with opened(path, os.O_RDONLY | os.O_NONBLOCK) as fd:
        fcntl.ioctl(fd, SETFLAGS, array.array("I", [flags, 0]))


@CASES.case({"f": "x", "d/": tree.directory()})
def flags_are_set_and_read(top: Path) -> None:
    for name in ("f", "d"):
        before = _get(top / name)
        _set(top / name, before | NODUMP)
        eq(_get(top / name) & FIELDS, NODUMP, name)
        _set(top / name, before)
        eq(_get(top / name) & FIELDS, 0, name)
    eq(read(top / "f"), b"x")


@CASES.case({"f": "x"}, needs=["trusted"])
def immutable_files_refuse_changes(top: Path) -> None:
    before = _get(top / "f")
    _set(top / "f", before | IMMUTABLE)
    try:
        with fails(errno.EPERM), opened(top / "f", os.O_WRONLY) as fd:
            os.write(fd, b"y")  # a stateless open learns it only here
        with fails(errno.EPERM):
            os.unlink(top / "f")
        with fails(errno.EPERM):
            os.chmod(top / "f", 0o600)
    finally:
        _set(top / "f", before)
    os.unlink(top / "f")


@CASES.case({"f": "x"})
def unknown_ioctls_are_enotty(top: Path) -> None:
    with opened(top / "f", os.O_RDONLY) as fd, fails(errno.ENOTTY):
        fcntl.ioctl(fd, 0x5401, array.array("I", [0] * 32))  # TCGETS
