"""An image as ordinary files, where nothing can be mounted that shows it.

Theory.  The union core reads the image as the driver would (`below`), and what it shows is written
into an empty directory that nobody else knows.  Owners, modes, times and attributes come last,
directories after what is in them.  What this user cannot make is recorded as an empty file with
`user.containers.override_stat` (docs/on-disk.md), owners of a single id are left out.

Beside the directory lies `NAME.made`, by which a later look tells what changed (`drift`): the moment
at which it was complete, as the file system's own clock says, and the number of each directory.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from lamina_runtime import contexts
from lamina_runtime.container import upper

if TYPE_CHECKING:
    from lamina_runtime.container.below import Below, Found

MADE = ".made"
_VERSION = b"lamina-tree 1"
_OVERRIDE = "user.containers.override_stat"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TICK = 0.002  # seconds
_TICKS = 1000


class Made(NamedTuple):
    """What is known of a tree from its making."""

    moment: int  # nanoseconds; what has not changed since is as it was
    directories: dict[bytes, int]  # path: inode number


class _Writer:
    def __init__(self, below: Below, top: int, *, owners: bool) -> None:
        self._below, self._top, self._owners = below, top, owners
        self._first: dict[int, bytes] = {}  # of files with several names: where the data is

    def write(self) -> dict[bytes, int]:
        """Write all; return the directories with their numbers."""
        found: list[tuple[bytes, Found]] = [(b"", self._below.root)]
        for path, directory in found:  # it grows meanwhile
            fd = os.open(path or b".", upper.DIRECTORY, dir_fd=self._top)
            try:
                for name in self._below.names(directory):
                    below = self._below.child(directory, name)
                    if below is None:
                        continue
                    inner = path + b"/" + name if path else name
                    if below.is_directory:
                        os.mkdir(name, 0o700, dir_fd=fd)
                        found.append((inner, below))
                    else:
                        self._object(fd, name, inner, below)
            finally:
                os.close(fd)
        numbers = {}
        for path, directory in reversed(found):
            fd = os.open(path or b".", upper.DIRECTORY, dir_fd=self._top)
            try:
                self._attributes(fd, directory)
                numbers[path] = os.fstat(fd).st_ino
            finally:
                os.close(fd)
        return numbers

    def _object(self, parent: int, name: bytes, path: bytes, found: Found) -> None:
        first = self._first.setdefault(int(found.node), path) if found.links > 1 else path
        if first != path:
            os.link(first, name, src_dir_fd=self._top, dst_dir_fd=parent, follow_symlinks=False)
            return
        if stat.S_ISLNK(found.mode):
            os.symlink(self._below.link(found), name, dir_fd=parent)
            self._own(name, parent, found)
            os.utime(name, ns=(found.mtime_ns, found.mtime_ns), dir_fd=parent, follow_symlinks=False)
            return
        if not stat.S_ISREG(found.mode) and self._node(parent, name, found):
            self._own(name, parent, found)
            os.chmod(name, stat.S_IMODE(found.mode), dir_fd=parent)
            os.utime(name, ns=(found.mtime_ns, found.mtime_ns), dir_fd=parent)
            return
        fd = os.open(name, _NEW, 0o600, dir_fd=parent)
        try:
            if stat.S_ISREG(found.mode):
                self._data(fd, found)
                self._attributes(fd, found)
            else:
                os.setxattr(fd, _OVERRIDE, _overriding(found))
                os.utime(fd, ns=(found.mtime_ns, found.mtime_ns))
        finally:
            os.close(fd)

    def _node(self, parent: int, name: bytes, found: Found) -> bool:
        """Make a device or FIFO; say whether that was allowed."""
        try:
            os.mknod(name, stat.S_IFMT(found.mode) | 0o600, found.rdev, dir_fd=parent)
        except PermissionError:
            return False
        return True

    def _data(self, fd: int, found: Found) -> None:
        at = 0
        for piece in self._below.data(found):
            if any(piece):
                os.pwrite(fd, piece, at)
            at += len(piece)
        os.ftruncate(fd, found.size)

    def _own(self, name: bytes, parent: int, found: Found) -> None:
        if self._owners:
            os.chown(name, found.uid, found.gid, dir_fd=parent, follow_symlinks=False)

    def _attributes(self, fd: int, found: Found) -> None:
        if self._owners:
            os.chown(fd, found.uid, found.gid)
        for name, value in self._below.attributes(found, upper.wanted).items():
            with contexts.suppress(OSError):  # the store's file system may not hold it
                os.setxattr(fd, name, value)
        os.chmod(fd, stat.S_IMODE(found.mode))
        os.utime(fd, ns=(found.mtime_ns, found.mtime_ns))


def unpack(below: Below, target: str, *, owners: bool) -> None:
    """Fill an empty directory with an image, and note how it was then."""
    top = os.open(target, upper.DIRECTORY)
    try:
        numbers = _Writer(below, top, owners=owners).write()
    finally:
        os.close(top)
    rows = [b"%d %s" % (number, path) for path, number in numbers.items()]
    with open(target + MADE + ".new", "wb") as file:
        file.write(b"\0".join((_VERSION, *rows)))
    os.rename(target + MADE + ".new", target + MADE)
    _pass_the_moment(target + MADE)


def _pass_the_moment(note: str) -> None:
    """Wait until the clock that stamps files goes on: nothing that changes from now on looks older."""
    moment = os.stat(note).st_ctime_ns
    probe = note + ".probe"
    for _ in range(_TICKS):
        with open(probe, "wb"):
            pass
        later = os.stat(probe).st_ctime_ns > moment
        os.unlink(probe)
        if later:
            return
        time.sleep(_TICK)
    raise OSError(errno.ETIME, "the clock of the file system stands still", note)


def made(target: str) -> Made:
    """Read what was noted at the making of a tree."""
    with open(target + MADE, "rb") as file:
        moment = os.fstat(file.fileno()).st_ctime_ns
        version, *rows = file.read().split(b"\0")
    if version != _VERSION:
        raise OSError(errno.EINVAL, "no note of a tree", target + MADE)
    pairs = (row.partition(b" ") for row in rows)
    return Made(moment, {path: int(number) for number, _, path in pairs})


def _overriding(found: Found) -> bytes:
    kinds = {stat.S_IFCHR: "char", stat.S_IFBLK: "block", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
    kind = kinds[stat.S_IFMT(found.mode)]
    if kind in ("char", "block"):
        kind += f"-{os.major(found.rdev)}-{os.minor(found.rdev)}"
    return f"{found.uid}:{found.gid}:{stat.S_IMODE(found.mode):o}:{kind}".encode()
