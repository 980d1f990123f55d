"""What may be compared of one object on two sides: everything but inode numbers and fresh times.

A time is comparable only where somebody set it: layers and utimensat(2) use times before
`FRESH`; anything later came from the clock and is shown as "fresh".
"""

import hashlib
import os
import stat
from typing import Any

FRESH = 1_577_836_800  # 2020-01-01: layers and operations set earlier times only
NANO = 1_000_000_000
TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFSOCK: "socket",
}

Fields = dict[str, Any]


def old_time(nanoseconds: int) -> str:
    """Show a time that was set, hide one that the clock gave."""
    if nanoseconds >= FRESH * NANO:
        return "fresh"
    return f"{nanoseconds // NANO}.{nanoseconds % NANO:09d}"


def attributes(status: os.stat_result) -> Fields:
    """Pick what stat(2) says and two sides must agree on.

    Of directories neither size nor link count: both are private to the filesystem that
    happens to carry them (kernel overlayfs says 1 for merged ones).
    """
    kind = stat.S_IFMT(status.st_mode)
    fields: Fields = {
        "type": TYPES[kind],
        "mode": oct(stat.S_IMODE(status.st_mode)),
        "owner": f"{status.st_uid}:{status.st_gid}",
        "mtime": old_time(status.st_mtime_ns),
    }
    if kind != stat.S_IFDIR:
        fields["nlink"] = status.st_nlink
    if kind in (stat.S_IFREG, stat.S_IFLNK):
        fields["size"] = status.st_size
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        fields["rdev"] = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    return fields


def xattrs(path: str) -> dict[str, str]:
    """Read all extended attributes of `path` itself."""
    return {
        name: os.getxattr(path, name, follow_symlinks=False).hex()
        for name in sorted(os.listxattr(path, follow_symlinks=False))
    }


def digest(data: bytes) -> str:
    """Short name of some contents."""
    return f"{len(data)}:{hashlib.blake2b(data, digest_size=8).hexdigest()}"


def pattern(seed: int, length: int) -> bytes:
    """Give `length` bytes that depend on `seed` and are never all zero."""
    unit = f"<{seed}>".encode()
    return (unit * (length // len(unit) + 1))[:length]
