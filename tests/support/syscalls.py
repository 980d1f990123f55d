"""Calls that Python's os module lacks, through cffi's ABI mode (no compiler needed)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cffi import FFI

RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE = 1, 2, 0x10
STATX_BASIC, STATX_BTIME = 0x7FF, 0x800
AT_FDCWD, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, AT_SYMLINK_FOLLOW = -100, 0x1000, 0x100, 0x400
IN_CREATE, IN_MODIFY, IN_DELETE, IN_MOVED_FROM, IN_MOVED_TO = 0x100, 0x2, 0x200, 0x40, 0x80
MS_SYNC = 4

_ffi: Any = FFI()  # what cdef() declares is not known to checkers
_ffi.cdef(
    """
    int renameat2(int, const char *, int, const char *, unsigned int);
    int linkat(int, const char *, int, const char *, int);
    int fallocate(int, int, int64_t, int64_t);
    int syncfs(int);
    int inotify_init1(int);
    int inotify_add_watch(int, const char *, uint32_t);
    void *opendir(const char *);
    int closedir(void *);
    long telldir(void *);
    void seekdir(void *, long);
    void rewinddir(void *);
    struct dirent {
        uint64_t d_ino; int64_t d_off; unsigned short d_reclen; unsigned char d_type; char d_name[256];
    };
    struct dirent *readdir(void *);
    struct stamp { int64_t sec; uint32_t nsec; int32_t pad; };
    struct statx_buf {
        uint32_t mask, blksize; uint64_t attributes; uint32_t nlink, uid, gid; uint16_t mode, pad;
        uint64_t ino, size, blocks, attributes_mask; struct stamp atime, btime, ctime, mtime;
        uint32_t rdev_major, rdev_minor, dev_major, dev_minor; uint64_t rest[16];
    };
    int statx(int, const char *, int, unsigned int, struct statx_buf *);
    """
)
_libc = _ffi.dlopen(None)


def _check(result: int, path: object = None) -> int:
    if result < 0:
        code = int(_ffi.errno)
        raise OSError(code, os.strerror(code), None if path is None else os.fsdecode(str(path)))
    return result


def renameat2(old: Path, new: Path, flags: int) -> None:
    """Rename with RENAME_* flags."""
    _check(_libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags), old)


def link_fd(fd: int, new: Path) -> None:
    """Give an O_TMPFILE file a name."""
    _check(
        _libc.linkat(AT_FDCWD, b"/proc/self/fd/%d" % fd, AT_FDCWD, os.fsencode(new), AT_SYMLINK_FOLLOW), new
    )


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    """Allocate, punch or zero a range; FALLOC_* modes."""
    _check(_libc.fallocate(fd, mode, offset, length))


def syncfs(fd: int) -> None:
    """Flush the file system that 'fd' is on."""
    _check(_libc.syncfs(fd))


def inotify(path: Path, mask: int) -> int:
    """Return a non-blocking descriptor that reports events on a path."""
    fd = _check(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    _check(_libc.inotify_add_watch(fd, os.fsencode(path), mask), path)
    return fd


@dataclass(frozen=True, slots=True)
class Statx:
    """The parts of statx(2) that stat(2) lacks."""

    mask: int
    attributes: int
    btime_ns: int
    ino: int
    size: int


def statx(path: Path, mask: int = STATX_BASIC | STATX_BTIME) -> Statx:
    """Ask for extended status; symlinks are not followed."""
    buf = _ffi.new("struct statx_buf *")
    _check(_libc.statx(AT_FDCWD, os.fsencode(path), AT_SYMLINK_NOFOLLOW, mask, buf), path)
    born = int(buf.btime.sec) * 10**9 + int(buf.btime.nsec)
    return Statx(int(buf.mask), int(buf.attributes), born, int(buf.ino), int(buf.size))


@dataclass(frozen=True, slots=True)
class Dirent:
    """One directory entry as readdir(3) gives it."""

    name: bytes
    ino: int
    kind: int


class Directory:
    """An open directory stream."""

    def __init__(self, path: Path) -> None:
        self._stream = _libc.opendir(os.fsencode(path))
        if self._stream == _ffi.NULL:
            _check(-1, path)

    def read(self) -> Dirent | None:
        """Return the next entry, None at the end."""
        found = _libc.readdir(self._stream)
        if found == _ffi.NULL:
            return None
        return Dirent(_ffi.string(found.d_name), int(found.d_ino), int(found.d_type))

    def rest(self) -> list[Dirent]:
        """Return all further entries."""
        return list(iter(self.read, None))

    def tell(self) -> int:
        """Return the position, for seek()."""
        return int(_libc.telldir(self._stream))

    def seek(self, position: int) -> None:
        """Go back to a position of tell()."""
        _libc.seekdir(self._stream, position)

    def rewind(self) -> None:
        """Go to the start and see the directory as it is now."""
        _libc.rewinddir(self._stream)

    def close(self) -> None:
        """Close the stream."""
        _libc.closedir(self._stream)
