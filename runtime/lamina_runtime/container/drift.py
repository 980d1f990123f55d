"""What a container changed in a tree of ordinary files that was made of its image (`unpacking`).

Theory.  Every object has a time of its last change that no program can set (st_ctime).  An object
below a directory that is still the one that was made there, and that is not younger than the
making, is untouched: neither the image is asked nor data read.  What is younger is compared with the
image, its data last.  A directory with another number than it was made with came from somewhere
else, with everything in it; then times say nothing and all below is compared.

So the tree's directory entries are read, but of the image only what changed is looked at.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

from lamina_runtime.container import upper
from lamina_runtime.container.changes import ADDED, CHANGED, DEEPEST, DELETED, Change
from lamina_runtime.errors import LaminaError

if TYPE_CHECKING:
    from lamina_runtime.container.below import Below, Found
    from lamina_runtime.container.unpacking import Made

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Drift:
    """Walks a tree."""

    def __init__(self, top: int, below: Below, places: frozenset[bytes], made: Made) -> None:
        """`top` is the tree, open; `places` are what the launcher put there."""
        self._top, self._below, self._places, self._made = top, below, places, made
        self._found: list[Change] = []

    def find(self) -> list[Change]:
        """Return all changes, directories before what is in them."""
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 4 * DEEPEST))
        self._found = []
        passed = self._inside(b"", self._top, self._below.root, 0)
        own = upper.look_at(self._top)
        if not _same(own, self._below.root, times=not passed):
            self._found.insert(0, Change(CHANGED, b"", own))
        return self._found

    def _inside(self, path: bytes, fd: int, image: Found | None, depth: int) -> bool:
        """Add what changed in a directory; say whether something of the launcher's was passed over."""
        if depth > DEEPEST:
            raise LaminaError(f"/{os.fsdecode(path)}: directories lie too deep")
        status = os.fstat(fd)
        moved = image is None or self._made.directories.get(path) != status.st_ino
        names = sorted(os.fsencode(name) for name in os.listdir(fd))
        passed = False
        for name in names:
            passed |= self._name(path, fd, name, image, depth, moved=moved)
        if image is not None and (moved or status.st_ctime_ns > self._made.moment):
            self._gone(path, image, set(names))
        return passed

    def _name(
        self, path: bytes, fd: int, name: bytes, image: Found | None, depth: int, *, moved: bool
    ) -> bool:
        status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        full = path + b"/" + name if path else name
        if stat.S_ISDIR(status.st_mode):
            return self._directory(full, fd, name, self._below.child(image, name), depth)
        if full in self._places:
            return True
        if not moved and status.st_ctime_ns <= self._made.moment:
            return False
        there = self._below.child(image, name)
        own = upper.look(fd, name)
        if there is None or not self._equal(fd, name, own, there):
            self._found.append(Change(CHANGED if there else ADDED, full, own))
        return False

    def _directory(self, full: bytes, fd: int, name: bytes, there: Found | None, depth: int) -> bool:
        under = there if there and there.is_directory else None
        position = len(self._found)
        inner = os.open(name, upper.DIRECTORY, dir_fd=fd)
        try:
            passed = self._inside(full, inner, under, depth + 1)
            own = upper.look_at(inner)
        finally:
            os.close(inner)
        if len(self._found) == position:
            if under and _same(own, under, times=not passed):
                return passed
            if there is None and (full in self._places or passed):
                return True
        self._found.insert(position, Change(CHANGED if there else ADDED, full, own))
        return False

    def _gone(self, path: bytes, image: Found, seen: set[bytes]) -> None:
        for name in self._below.names(image):
            full = path + b"/" + name if path else name
            if name not in seen and full not in self._places:
                self._found.append(Change(DELETED, full))

    def _equal(self, fd: int, name: bytes, own: upper.Object, there: Found) -> bool:
        if not _same(own, there, times=True):
            return False
        kind = stat.S_IFMT(own.mode)
        if kind == stat.S_IFLNK:
            return os.fsencode(os.readlink(name, dir_fd=fd)) == self._below.link(there)
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            return own.device == (os.major(there.rdev), os.minor(there.rdev))
        if self._below.attributes(there, upper.wanted) != own.xattrs:
            return False
        if kind != stat.S_IFREG:
            return True
        return own.size == there.size and self._same_data(fd, name, there)

    def _same_data(self, fd: int, name: bytes, there: Found) -> bool:
        with open(os.open(name, _READ, dir_fd=fd), "rb") as file:
            return all(file.read(len(piece)) == piece for piece in self._below.data(there))


def _same(own: upper.Object, there: Found, *, times: bool) -> bool:
    same = (own.mode, own.uid, own.gid) == (there.mode, there.uid, there.gid)
    return same and (not times or own.mtime_ns == there.mtime_ns)
