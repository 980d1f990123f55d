"""Operations on open handles: they outlive renames, unlinks and copy-up of what they were opened on.

Importing this module enters its verbs into the table of `operations`.
"""

import os
from typing import Any

from tests.differential import calls
from tests.differential.objects import attributes, digest, pattern
from tests.differential.operations import DIRECTORY, Tree, verb


@verb
def open_(tree: Tree, slot: int, path: str, flags: int, mode: int) -> None:
    """Open into a slot."""
    tree.keep(slot, os.open(tree.path(path), flags | os.O_NONBLOCK, mode))


@verb
def tmpfile(tree: Tree, slot: int, path: str, mode: int) -> None:
    """Open a nameless file into a slot."""
    tree.keep(slot, os.open(tree.path(path), os.O_TMPFILE | os.O_RDWR, mode))


@verb
def close(tree: Tree, slot: int) -> None:
    """Close a slot."""
    tree.drop(slot)


@verb
def pread(tree: Tree, slot: int, offset: int, length: int) -> str:
    """Read from a handle."""
    return digest(os.pread(tree.slots[slot], length, offset))


@verb
def pwrite(tree: Tree, slot: int, offset: int, seed: int, length: int) -> int:
    """Write at a place (O_APPEND handles append)."""
    return os.pwrite(tree.slots[slot], pattern(seed, length), offset)


@verb
def ftruncate(tree: Tree, slot: int, size: int) -> None:
    """Call ftruncate(2)."""
    os.ftruncate(tree.slots[slot], size)


@verb
def ffallocate(tree: Tree, slot: int, mode: int, offset: int, length: int) -> None:
    """Call fallocate(2)."""
    calls.fallocate(tree.slots[slot], mode, offset, length)


@verb
def fstat(tree: Tree, slot: int) -> Any:
    """Call fstat(2)."""
    return attributes(os.fstat(tree.slots[slot]))


@verb
def fchmod(tree: Tree, slot: int, mode: int) -> None:
    """Call fchmod(2)."""
    os.fchmod(tree.slots[slot], mode)


@verb
def fchown(tree: Tree, slot: int, uid: int, gid: int) -> None:
    """Call fchown(2)."""
    os.fchown(tree.slots[slot], uid, gid)


@verb
def futimens(tree: Tree, slot: int, atime: int, mtime: int) -> None:
    """Call futimens(2); nanoseconds."""
    os.utime(tree.slots[slot], ns=(atime, mtime))


@verb
def fsetxattr(tree: Tree, slot: int, name: str, value: bytes) -> None:
    """Call fsetxattr(2)."""
    os.setxattr(tree.slots[slot], name, value)


@verb
def fsync(tree: Tree, slot: int) -> None:
    """Call fsync(2)."""
    os.fsync(tree.slots[slot])


@verb
def flink(tree: Tree, slot: int, path: str) -> None:
    """Give a handle a (further) name."""
    os.link(f"/proc/self/fd/{tree.slots[slot]}", tree.path(path), follow_symlinks=True)


# ---- below a directory handle, which may have been renamed or removed meanwhile ----


@verb
def opendir(tree: Tree, slot: int, path: str) -> None:
    """Open a directory into a slot."""
    tree.keep(slot, os.open(tree.path(path), DIRECTORY))


@verb
def listdir_at(tree: Tree, slot: int) -> list[str]:
    """Read the directory behind a handle."""
    return sorted(os.listdir(tree.slots[slot]))


@verb
def create_at(tree: Tree, slot: int, name: str, mode: int) -> None:
    """Create a file below a directory handle."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
    os.close(os.open(name, flags, mode, dir_fd=tree.slots[slot]))


@verb
def mkdir_at(tree: Tree, slot: int, name: str, mode: int) -> None:
    """Call mkdirat(2)."""
    os.mkdir(name, mode, dir_fd=tree.slots[slot])


@verb
def unlink_at(tree: Tree, slot: int, name: str) -> None:
    """Call unlinkat(2)."""
    os.unlink(name, dir_fd=tree.slots[slot])


@verb
def lstat_at(tree: Tree, slot: int, name: str) -> Any:
    """Call fstatat(2) without following."""
    return attributes(os.stat(name, dir_fd=tree.slots[slot], follow_symlinks=False))
