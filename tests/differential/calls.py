"""System calls that Python's os module does not offer: renameat2, fallocate, seekdir.

Every function raises OSError as os functions do.  Paths are str (surrogateescape).
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from typing import NamedTuple

AT_FDCWD = -100
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
RENAME_WHITEOUT = 4
FALLOC_KEEP_SIZE = 1
FALLOC_PUNCH_HOLE = 2
FALLOC_ZERO_RANGE = 16
DROP_CACHES = "/proc/sys/vm/drop_caches"

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
_libc.renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]


class _Dirent(ctypes.Structure):
    """struct dirent64 of glibc on 64-bit machines."""

    _fields_ = (
        ("d_ino", ctypes.c_uint64),
        ("d_off", ctypes.c_int64),
        ("d_reclen", ctypes.c_ushort),
        ("d_type", ctypes.c_ubyte),
        ("d_name", ctypes.c_char * 256),
    )


_libc.fdopendir.argtypes = [ctypes.c_int]
_libc.fdopendir.restype = ctypes.c_void_p
_libc.readdir.argtypes = [ctypes.c_void_p]
_libc.readdir.restype = ctypes.POINTER(_Dirent)
_libc.closedir.argtypes = [ctypes.c_void_p]
_libc.telldir.argtypes = [ctypes.c_void_p]
_libc.telldir.restype = ctypes.c_long
_libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
_libc.seekdir.restype = None


def _check(result: int, path: str = "") -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


def rename(source: str, target: str, flags: int = 0) -> None:
    """Call renameat2(2)."""
    _check(
        _libc.renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), flags),
        source,
    )


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    """Call fallocate(2); os.posix_fallocate has no mode."""
    _check(_libc.fallocate(fd, mode, offset, length))


class Entry(NamedTuple):
    """One directory entry as readdir(3) gives it."""

    name: str
    ino: int
    type: int


class Directory:
    """A DIR stream with positions; use `opened_directory`."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self._dir = _libc.fdopendir(self._fd)
        if not self._dir:
            _check(-1, path)

    def read(self, limit: int | None = None) -> list[Entry]:
        """Read at most `limit` entries, "." and ".." included."""
        entries: list[Entry] = []
        while limit is None or len(entries) < limit:
            ctypes.set_errno(0)
            entry = _libc.readdir(self._dir)
            if not entry:
                number = ctypes.get_errno()
                if number:
                    raise OSError(number, os.strerror(number))
                return entries
            found = entry.contents
            entries.append(Entry(os.fsdecode(found.d_name), found.d_ino, found.d_type))
        return entries

    def tell(self) -> int:
        """Say where the next read goes on."""
        return int(_libc.telldir(self._dir))

    def seek(self, position: int) -> None:
        """Go back to what `tell` said."""
        _libc.seekdir(self._dir, position)

    def close(self) -> None:
        """End the stream and its descriptor."""
        _libc.closedir(self._dir)


@contextlib.contextmanager
def opened_directory(path: str) -> Iterator[Directory]:
    """Open `path` for reading its entries."""
    directory = Directory(path)
    try:
        yield directory
    finally:
        directory.close()


@contextlib.contextmanager
def acting_as(uid: int, gid: int, groups: tuple[int, ...]) -> Iterator[None]:
    """Do the body with other effective ids, and so without capabilities; back to root after it."""
    before = os.getgroups()
    os.setgroups(groups)
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


def drop_caches() -> None:
    """Make the kernel forget unused dentries and inodes (all of this machine's)."""
    with open(DROP_CACHES, "w", encoding="ascii") as file:
        file.write("2\n")
