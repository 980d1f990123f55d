"""The operations: plain tuples, carried out on one side by `perform`.

An operation is `(verb, argument, …)` of str, int and nested tuples; paths are relative to the
side's root.  Handles have numbers ("slots") that mean the same on both sides.  `perform` returns
an outcome: `("ok", value)` or `("errno", name)`, in which nothing depends on the side.
"""

import errno
import mmap
import os
import stat
from collections.abc import Callable
from typing import Any

from tests.differential import calls
from tests.differential.objects import attributes, digest, old_time, pattern

Op = tuple[Any, ...]
Outcome = tuple[str, Any]
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
NO_SLOT = ("errno", "no such slot")


class Tree:
    """One side as operations see it: a root and open handles."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.slots: dict[int, int] = {}

    def path(self, relative: str) -> str:
        """Name an object by its absolute path."""
        return f"{self.root}/{relative}" if relative else self.root

    def keep(self, slot: int, fd: int) -> None:
        """Store a handle, closing what was there."""
        self.drop(slot)
        self.slots[slot] = fd

    def drop(self, slot: int) -> None:
        """Close a handle if there is one."""
        fd = self.slots.pop(slot, None)
        if fd is not None:
            os.close(fd)

    def drop_all(self) -> None:
        """Close every handle, as before an unmount."""
        for slot in list(self.slots):
            self.drop(slot)


Verb = Callable[..., Any]
VERBS: dict[str, Verb] = {}


def verb(function: Verb) -> Verb:
    """Enter a function into the table under its name."""
    VERBS[function.__name__.rstrip("_")] = function
    return function


def perform(tree: Tree, op: Op) -> Outcome:
    """Carry out one operation."""
    name, *arguments = op
    try:
        return ("ok", VERBS[name](tree, *arguments))
    except OSError as exc:
        return ("errno", errno.errorcode.get(exc.errno or 0, str(exc.errno)))
    except KeyError:
        return NO_SLOT


# ---- wrappers ----


@verb
def as_user(tree: Tree, uid: int, gid: int, groups: tuple[int, ...], op: Op) -> Outcome:
    """Do `op` without capabilities."""
    with calls.acting_as(uid, gid, groups):
        return perform(tree, op)


@verb
def same_ino(tree: Tree, path: str, op: Op) -> tuple[bool, Outcome]:
    """Do `op` and say whether st_ino of `path` lived through it."""
    before = os.lstat(tree.path(path)).st_ino
    outcome = perform(tree, op)
    return (os.lstat(tree.path(path)).st_ino == before, outcome)


# ---- names ----


@verb
def mkdir(tree: Tree, path: str, mode: int) -> None:
    """Call mkdir(2)."""
    os.mkdir(tree.path(path), mode)


@verb
def create(tree: Tree, path: str, flags: int, mode: int, seed: int, length: int) -> Any:
    """Open with O_CREAT, write, close."""
    fd = os.open(tree.path(path), flags | os.O_CREAT | os.O_WRONLY | os.O_NONBLOCK, mode)
    try:
        os.write(fd, pattern(seed, length))
        return attributes(os.fstat(fd))
    finally:
        os.close(fd)


@verb
def symlink(tree: Tree, target: str, path: str) -> None:
    """Call symlink(2)."""
    os.symlink(target, tree.path(path))


@verb
def mknod(tree: Tree, path: str, mode: int, major: int, minor: int) -> None:
    """Call mknod(2)."""
    os.mknod(tree.path(path), mode, os.makedev(major, minor))


@verb
def link(tree: Tree, source: str, target: str) -> bool:
    """Call link(2); the two names must be one inode."""
    os.link(tree.path(source), tree.path(target), follow_symlinks=False)
    return os.lstat(tree.path(source)).st_ino == os.lstat(tree.path(target)).st_ino


@verb
def unlink(tree: Tree, path: str) -> None:
    """Call unlink(2)."""
    os.unlink(tree.path(path))


@verb
def rmdir(tree: Tree, path: str) -> None:
    """Call rmdir(2)."""
    os.rmdir(tree.path(path))


@verb
def rename(tree: Tree, source: str, target: str, flags: int) -> bool:
    """Call renameat2(2); the object keeps its inode number."""
    before = os.lstat(tree.path(source)).st_ino
    calls.rename(tree.path(source), tree.path(target), flags)
    return os.lstat(tree.path(target)).st_ino == before


@verb
def rmtree(tree: Tree, path: str) -> int:
    """Remove a whole subtree; the number of objects removed.

    In the order of names, so that both sides stop at the same place where something may not go.
    """
    return _remove(tree.path(path))


def _remove(path: str) -> int:
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
        return 1
    count = sum(_remove(f"{path}/{name}") for name in sorted(os.listdir(path)))
    os.rmdir(path)
    return count + 1


# ---- looking ----


@verb
def lstat(tree: Tree, path: str) -> Any:
    """Call lstat(2)."""
    return attributes(os.lstat(tree.path(path)))


@verb
def readlink(tree: Tree, path: str) -> str:
    """Call readlink(2)."""
    return os.readlink(tree.path(path))


@verb
def access(tree: Tree, path: str, mode: int) -> bool:
    """Call faccessat(2) with the effective ids."""
    return os.access(tree.path(path), mode, effective_ids=True)


@verb
def listdir(tree: Tree, path: str) -> list[str]:
    """Read a directory, without order."""
    return sorted(os.listdir(tree.path(path)))


@verb
def read(tree: Tree, path: str, offset: int, length: int) -> str:
    """Open, pread, close."""
    fd = os.open(tree.path(path), os.O_RDONLY | os.O_NONBLOCK)
    try:
        return digest(os.pread(fd, length, offset))
    finally:
        os.close(fd)


@verb
def dirscan(tree: Tree, path: str, taken: int, add: str, remove: str) -> Any:
    """Read some entries, change the directory, read on; then seek back and read again.

    Names that were there all the time must come exactly once, and again exactly once in the
    old first part and the part that was read a second time.
    """
    top = tree.path(path)
    before = set(os.listdir(top))
    with calls.opened_directory(top) as directory:
        first = directory.read(taken)
        position = directory.tell()
        os.close(os.open(f"{top}/{add}", os.O_CREAT | os.O_WRONLY | os.O_NONBLOCK, 0o600))
        if remove in before and not os.path.isdir(f"{top}/{remove}"):
            os.unlink(f"{top}/{remove}")
        rest = directory.read()
        directory.seek(position)
        again = directory.read()
    stable = before & set(os.listdir(top))
    seen = [entry.name for entry in first + rest]
    seen_again = [entry.name for entry in first + again]
    return {
        "stable": sorted(stable),
        "once": all(seen.count(name) == 1 for name in stable),
        "once after seek": all(seen_again.count(name) == 1 for name in stable),
        "dots": sorted(name for name in seen if name in (".", "..")),
        "types": sorted((e.name, e.type) for e in first + rest if e.name in stable),
    }


# ---- attributes ----


@verb
def chmod(tree: Tree, path: str, mode: int) -> None:
    """Call chmod(2) (follows)."""
    os.chmod(tree.path(path), mode)


@verb
def chown(tree: Tree, path: str, uid: int, gid: int) -> None:
    """Call lchown(2)."""
    os.lchown(tree.path(path), uid, gid)


@verb
def utimens(tree: Tree, path: str, atime: int, mtime: int) -> str:
    """Call utimensat(2) on the object itself; nanoseconds."""
    os.utime(tree.path(path), ns=(atime, mtime), follow_symlinks=False)
    return old_time(os.lstat(tree.path(path)).st_atime_ns)


@verb
def touch(tree: Tree, path: str) -> None:
    """Set both times to now (needs less permission than to set a given time)."""
    os.utime(tree.path(path))


@verb
def setxattr(tree: Tree, path: str, name: str, value: bytes, flags: int) -> None:
    """Call lsetxattr(2)."""
    os.setxattr(tree.path(path), name, value, flags, follow_symlinks=False)


@verb
def getxattr(tree: Tree, path: str, name: str) -> bytes:
    """Call lgetxattr(2)."""
    return os.getxattr(tree.path(path), name, follow_symlinks=False)


@verb
def listxattr(tree: Tree, path: str) -> list[str]:
    """Call llistxattr(2)."""
    return sorted(os.listxattr(tree.path(path), follow_symlinks=False))


@verb
def removexattr(tree: Tree, path: str, name: str) -> None:
    """Call lremovexattr(2)."""
    os.removexattr(tree.path(path), name, follow_symlinks=False)


# ---- contents by path ----


@verb
def write(tree: Tree, path: str, flags: int, offset: int, seed: int, length: int) -> int:
    """Open for writing, pwrite, close."""
    fd = os.open(tree.path(path), os.O_WRONLY | os.O_NONBLOCK | flags)
    try:
        return os.pwrite(fd, pattern(seed, length), offset)
    finally:
        os.close(fd)


@verb
def truncate(tree: Tree, path: str, size: int) -> None:
    """Call truncate(2)."""
    os.truncate(tree.path(path), size)


@verb
def fallocate(tree: Tree, path: str, mode: int, offset: int, length: int) -> None:
    """Open, fallocate, close."""
    fd = os.open(tree.path(path), os.O_RDWR | os.O_NONBLOCK)
    try:
        calls.fallocate(fd, mode, offset, length)
    finally:
        os.close(fd)


@verb
def mmap_write(tree: Tree, path: str, offset: int, seed: int, length: int) -> str:
    """Write through a shared mapping, read back through read(2)."""
    fd = os.open(tree.path(path), os.O_RDWR | os.O_NONBLOCK)
    try:
        size = os.fstat(fd).st_size
        end = min(size, offset + length)
        if not stat.S_ISREG(os.fstat(fd).st_mode) or offset >= end:
            return "nothing to map"
        with mmap.mmap(fd, size, mmap.MAP_SHARED) as mapping:
            mapping[offset:end] = pattern(seed, end - offset)
            mapping.flush()
        return digest(os.pread(fd, size, 0))
    finally:
        os.close(fd)


@verb
def copy_range(tree: Tree, source: str, target: str, offsets: tuple[int, int], length: int) -> int:
    """Call copy_file_range(2) between two files by path, or do without where it is refused.

    Kernel overlayfs says EXDEV where the two lie on layers of different filesystems; programs
    then read and write, and so do we, so that both sides go on with the same contents.
    """
    fd_in = os.open(tree.path(source), os.O_RDONLY | os.O_NONBLOCK)
    try:
        fd_out = os.open(tree.path(target), os.O_WRONLY | os.O_NONBLOCK)
        try:
            try:
                return os.copy_file_range(fd_in, fd_out, length, *offsets)
            except OSError as exc:
                if exc.errno != errno.EXDEV:
                    raise
                return os.pwrite(fd_out, os.pread(fd_in, length, offsets[0]), offsets[1])
        finally:
            os.close(fd_out)
    finally:
        os.close(fd_in)


@verb
def drop_caches(_tree: Tree) -> None:
    """Make the kernel forget its dentries (of both sides, twice does no harm)."""
    calls.drop_caches()
