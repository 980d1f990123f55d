"""What a container changed, from its upper alone: as a list, and as a layer of an image.

Theory.  The upper is walked, the image is not: each name of the upper is looked up in the image,
which costs the same however large that is.  Three things decide what a name means:

  image   what the image has at this path: there is something (changed) or not (added)
  merged  which directory of the image shines through here: the same one as a rule, none under an
          opaque directory, another one under a redirect, whose content therefore becomes ours
  marks   whiteouts, opaque, redirect, metacopy (docs/on-disk.md), also as other unions write them

The places that the launcher made for its mounts are nobody's change.  The order is that of names,
so that the same upper over the same image gives the same layer to the byte.
"""

from __future__ import annotations

import os
import stat
import sys

from lamina_runtime.container import upper
from lamina_runtime.errors import LaminaError
from lamina_runtime.tar.header import Member
from lamina_runtime.tar.writer import OPAQUE, WHITEOUT, TarWriter
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lamina_runtime.container.below import Below, Found

ADDED, CHANGED, DELETED = "A", "C", "D"
DEEPEST = 2048
PIECE = 1 << 20


@value
class Change:
    """What became of one path."""

    kind: str
    path: bytes
    own: upper.Object | None = None  # as the upper has it
    lent: Found | None = None  # where the image has what belongs here: a moved tree, a metacopy's data
    hides_all: bool = False  # a directory of which the image shows nothing
    implied: bool = False  # gone because of hides_all


class Changes:
    """Walks an upper."""

    def __init__(self, top: int, below: Below, places: frozenset[bytes]) -> None:
        """`top` is the upper, open; `places` are the targets of the container's mounts."""
        self._top, self._below, self._places = top, below, places
        self._found: list[Change] = []

    def find(self) -> list[Change]:
        """Return all changes, directories before what is in them."""
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 4 * DEEPEST))
        root = self._below.root
        own = upper.look_at(self._top)
        self._found = []
        self._inside(b"", self._top, root, None if own.opaque else root, 0)
        if not _same_directory(own, root, times=False):
            self._found.insert(0, Change(CHANGED, b"", own))
        return self._found

    def _inside(self, path: bytes, fd: int, image: Found | None, merged: Found | None, depth: int) -> bool:
        """Add what changed in a directory; say whether a place for a mount was passed over."""
        if depth > DEEPEST:
            raise LaminaError(f"/{os.fsdecode(path)}: directories lie too deep")
        passed, seen = False, set()
        hidden = set(os.listdir(fd))
        for text in sorted(hidden, key=os.fsencode):
            name = os.fsencode(text)
            if name == OPAQUE:
                merged = None
                continue
            if name.startswith(WHITEOUT):
                name = name[len(WHITEOUT) :]
                seen.add(name)
                self._gone(path, name, image)
                continue
            seen.add(name)
            passed |= self._name(path, fd, name, image, merged, depth)
        if merged is not image:
            self._not_merged(path, image, merged, seen)
        return passed

    def _name(
        self, path: bytes, fd: int, name: bytes, image: Found | None, merged: Found | None, depth: int
    ) -> bool:
        own = upper.look(fd, name)
        there = self._below.child(image, name)
        if own.whiteout:
            self._gone(path, name, image)
            return False
        full = _joined(path, name)
        shown = there if merged is image else self._below.child(merged, name)
        if own.redirect:
            near = not own.redirect.startswith(b"/")
            shown = self._below.child(merged, own.redirect) if near else self._below.find(own.redirect)
        kind = CHANGED if there else ADDED
        if not stat.S_ISDIR(own.mode):
            if there is None and full in self._places and stat.S_ISREG(own.mode) and not own.size:
                return True
            self._found.append(Change(kind, full, own, shown if own.metacopy else None))
            return False
        through = shown if shown and shown.is_directory and not own.opaque else None
        under = there if there and there.is_directory else None
        position = len(self._found)
        inner = os.open(name, upper.DIRECTORY, dir_fd=fd)
        try:
            passed = self._inside(full, inner, under, through, depth + 1)
        finally:
            os.close(inner)
        nothing = len(self._found) == position
        if nothing and under and through is under and _same_directory(own, under, times=not passed):
            return passed
        if nothing and there is None and (full in self._places or passed):
            return True
        hides = under is not None and through is not under
        self._found.insert(position, Change(kind, full, own, hides_all=hides))
        return False

    def _gone(self, path: bytes, name: bytes, image: Found | None) -> None:
        if self._below.child(image, name):
            self._found.append(Change(DELETED, _joined(path, name)))

    def _not_merged(self, path: bytes, image: Found | None, merged: Found | None, seen: set[bytes]) -> None:
        """Add what a redirected or opaque directory lends from elsewhere, and what it hides."""
        lent = [name for name in self._below.names(merged) if name not in seen]
        for name in lent:
            found = self._below.child(merged, name)
            if found:
                self._lend(_joined(path, name), found, self._below.child(image, name), 0)
        visible = {*lent, *seen}
        for name in self._below.names(image):
            if name not in visible:
                self._found.append(Change(DELETED, _joined(path, name), implied=True))

    def _lend(self, path: bytes, found: Found, there: Found | None, depth: int) -> None:
        if depth > DEEPEST:
            raise LaminaError(f"/{os.fsdecode(path)}: directories lie too deep")
        self._found.append(Change(CHANGED if there else ADDED, path, lent=found))
        for name in self._below.names(found):
            inner = self._below.child(found, name)
            if inner:
                self._lend(_joined(path, name), inner, self._below.child(there, name), depth + 1)


def listing(found: list[Change]) -> list[tuple[str, str]]:
    """Return (A, C or D, path) as docker lists them: by path, the root left out."""
    rows = [(change.kind, "/" + os.fsdecode(change.path)) for change in found if change.path]
    return sorted(rows, key=lambda row: row[1])


class LayerTar:
    """Writes changes as a layer."""

    def __init__(self, top: int, below: Below, tar: TarWriter) -> None:
        self._top, self._below, self._tar = top, below, tar
        self._names: dict[tuple[int, int] | int, bytes] = {}  # of files with several names: the first

    def write(self, found: list[Change]) -> None:
        """Write all of them, and the end."""
        for change in found:
            if change.kind == DELETED:
                if not change.implied:
                    self._tar.hide(change.path)
            elif change.own:
                self._own(change, change.own)
            elif change.lent:
                self._lent(change.path, change.lent)
            if change.hides_all:
                self._tar.hide_all(change.path)
        self._tar.end()

    def _own(self, change: Change, own: upper.Object) -> None:
        kind = stat.S_IFMT(own.mode)
        if kind == stat.S_IFSOCK:
            return  # a socket is nothing without its process, and tar has no type for it
        fd = self._open(change.path) if kind == stat.S_IFREG or own.links < 2 else -1
        with _closing(fd):
            size = change.lent.size if change.lent else own.size
            link = self._target(change.path) if kind == stat.S_IFLNK else b""
            member = Member(
                change.path, own.mode, own.uid, own.gid, own.mtime_ns, size, link, own.device, own.xattrs
            )
            if kind != stat.S_IFDIR and own.links > 1:
                first = self._names.setdefault(own.identity, change.path)
                if first != change.path:
                    self._tar.add_link(member, first)
                    return
            self._tar.add(member)
            if kind == stat.S_IFREG and size:
                if change.lent:
                    self._bytes(change.path, self._below.data(change.lent), size)
                else:
                    self._bytes(change.path, _pieces(fd, size), size)

    def _lent(self, path: bytes, found: Found) -> None:
        if stat.S_ISSOCK(found.mode):
            return
        attributes = self._below.attributes(found, upper.wanted)
        device = os.major(found.rdev), os.minor(found.rdev)
        member = Member(
            path, found.mode, found.uid, found.gid, found.mtime_ns, found.size, self._below.link(found),
            device, attributes,
        )  # fmt: skip
        if found.links > 1 and not found.is_directory:
            first = self._names.setdefault(int(found.node), path)
            if first != path:
                self._tar.add_link(member, first)
                return
        self._tar.add(member)
        if stat.S_ISREG(found.mode) and found.size:
            self._bytes(path, self._below.data(found), found.size)

    def _bytes(self, path: bytes, pieces: Iterator[bytes], size: int) -> None:
        """Write a file's data; what it lacks when it shrinks meanwhile is zeros, as in any archive."""
        for piece in pieces:
            self._tar.data(piece)
            size -= len(piece)
        if size:
            raise LaminaError(f"/{os.fsdecode(path)}: it became shorter while it was read")

    def _open(self, path: bytes) -> int:
        parent, _, name = path.rpartition(b"/")
        with _closing(self._parent(parent)) as fd:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode if name else 0
            return os.open(name, flags, dir_fd=fd) if stat.S_ISREG(mode) else -1

    def _target(self, path: bytes) -> bytes:
        parent, _, name = path.rpartition(b"/")
        with _closing(self._parent(parent)) as fd:
            if stat.S_ISLNK(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                return os.readlink(name, dir_fd=fd)
        with _closing(self._open(path)) as fd:  # a link that is recorded in a file
            return os.read(fd, 4096)

    def _parent(self, path: bytes) -> int:
        """Open a directory of the upper, one name after the other."""
        fd = os.dup(self._top)
        for name in path.split(b"/") if path else ():
            with _closing(fd):
                fd = os.open(name, upper.DIRECTORY, dir_fd=fd)
        return fd


class _closing:  # noqa: N801 - reads as contextlib's
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def _pieces(fd: int, size: int) -> Iterator[bytes]:
    while size > 0 and (data := os.read(fd, min(PIECE, size))):
        yield data
        size -= len(data)


def _same_directory(own: upper.Object, there: Found, *, times: bool) -> bool:
    """Say whether a directory was only copied up on the way to something."""
    same = (own.mode, own.uid, own.gid) == (there.mode, there.uid, there.gid)
    return same and (not times or own.mtime_ns == there.mtime_ns)


def _joined(parent: bytes, name: bytes) -> bytes:
    return parent + b"/" + name if parent else name
