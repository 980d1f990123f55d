"""The tree of an image, put together from the indexes of its layers: no mount, no data read.

Theory.  A layer's index is a log.  Applying it means: first its whiteouts and opaque directories,
which concern what lies below only; then its entries in their order.  A directory over a directory
changes its attributes and keeps what is in it; anything else replaces what was there.  A hard
link is one more name of an inode, of this layer or of one below.

What a layer hides is remembered, because `why` is about nothing else.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, NamedTuple

import lamina_native.image as native

from lamina_runtime.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lamina_native.image import Entry

    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.store import Store


class Inode:
    """What one or several names stand for: an entry of a layer's index."""

    __slots__ = ("entry", "layer")

    def __init__(self, entry: Entry, layer: int) -> None:
        self.entry, self.layer = entry, layer

    @property
    def is_directory(self) -> bool:
        """Whether it may have names below it."""
        return self.entry.kind == native.DIR


class Node:
    """A name in the tree."""

    __slots__ = ("children", "inode")

    def __init__(self, inode: Inode) -> None:
        self.inode = inode
        self.children: dict[bytes, Node] = {}


class Hidden(NamedTuple):
    """An entry that a higher layer hides: by another entry, a whiteout, or an opaque directory."""

    entry: Entry
    layer: int
    by: int  # the layer that hides it
    how: str


class Tree:
    """The merged tree of layers, base first."""

    def __init__(self, store: Store, diff_ids: Sequence[Digest], *, watched: bytes | None = None) -> None:
        self.diff_ids = tuple(diff_ids)
        self.root = Node(Inode(_implied(b""), 0))
        self.hidden: list[Hidden] = []
        self._watched = watched
        for number, diff_id in enumerate(self.diff_ids):
            self._apply(store, diff_id, number)

    def find(self, path: bytes) -> Node | None:
        """Return the node at a tidy path, without following links."""
        node: Node | None = self.root
        for name in path.split(b"/") if path else ():
            node = node.children.get(name) if node else None
        return node

    def walk(self) -> Iterator[tuple[bytes, Node]]:
        """Yield every path with its node, directories before what is in them, names sorted."""
        stack = [(b"", self.root)]
        while stack:
            path, node = stack.pop()
            yield path, node
            stack += [
                (_joined(path, name), node.children[name]) for name in sorted(node.children, reverse=True)
            ]

    def _apply(self, store: Store, diff_id: Digest, number: int) -> None:
        with store.layers.index(diff_id).open("rb") as file:
            index = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            for entry in native.entries(index):
                if entry.kind == native.WHITEOUT:
                    self._remove(entry.path, number, "whiteout")
                elif entry.kind == native.OPAQUE:
                    self._empty(entry.path, number)
            for entry in native.entries(index):
                if entry.kind not in (native.WHITEOUT, native.OPAQUE):
                    self._put(entry, number)
        except native.IndexDamaged as error:
            raise IntegrityError(f"layer {diff_id.short}: {error}", hint="lamina store check") from error

    def _put(self, entry: Entry, number: int) -> None:
        if not entry.path:
            self.root.inode = Inode(entry, number)
            return
        parent = self._directory(entry.path.rpartition(b"/")[0], number)
        name = entry.path.rpartition(b"/")[2]
        inode = Inode(entry, number)
        if entry.kind == native.HARDLINK:
            target = self.find(entry.link)
            if target is None:
                return
            inode = target.inode
        old = parent.children.get(name)
        if old is not None:
            merged = old.inode.is_directory and inode.is_directory
            if not merged or entry.path == self._watched:  # what is in a merged directory stays to be seen
                self._note(entry.path, old, number, "replaced")
            if merged:
                old.inode = inode
                return
        parent.children[name] = Node(inode)

    def _directory(self, path: bytes, number: int) -> Node:
        """Return the directory at a path; a layer may leave it to us to make it."""
        node = self.root
        at = b""
        for name in path.split(b"/") if path else ():
            at = _joined(at, name)
            below = node.children.get(name)
            if below is None or not below.inode.is_directory:
                if below is not None:
                    self._note(at, below, number, "replaced")
                below = node.children[name] = Node(Inode(_implied(at), number))
            node = below
        return node

    def _remove(self, path: bytes, number: int, how: str) -> None:
        parent = self.find(path.rpartition(b"/")[0])
        node = parent.children.pop(path.rpartition(b"/")[2], None) if parent and path else None
        if node is not None:
            self._note(path, node, number, how)

    def _empty(self, path: bytes, number: int) -> None:
        node = self.find(path)
        for name in list(node.children) if node else ():
            self._remove(_joined(path, name), number, "opaque directory")

    def _note(self, path: bytes, node: Node, number: int, how: str) -> None:
        """Remember what becomes of the path that is watched, or of what it lies below."""
        watched = self._watched
        if watched is None or not (watched == path or watched.startswith(path + b"/")):
            return
        for name in watched[len(path) + 1 :].split(b"/") if watched != path else ():
            below = node.children.get(name)
            if below is None:
                return
            node = below
        if node.inode.layer != number or how != "replaced":
            self.hidden.append(Hidden(node.inode.entry, node.inode.layer, number, how))


def _implied(path: bytes) -> Entry:
    """Return a directory that no layer describes."""
    return native.Entry(path, native.DIR, 0o755, 0, 0, 0, 0, 0, 0, b"", {}, (0, 0), None)


def _joined(path: bytes, name: bytes) -> bytes:
    return path + b"/" + name if path else name
