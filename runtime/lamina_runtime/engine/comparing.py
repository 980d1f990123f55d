"""`lamina diff`: what differs between two trees, each an image, its first layers, or one layer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from lamina_runtime.engine import naming
from lamina_runtime.engine.trees import Tree
from lamina_runtime.errors import LaminaError, NotFoundError, UsageError
from lamina_runtime.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lamina_runtime.engine.trees import Inode
    from lamina_runtime.store import Store

PIECE = 1 << 20
ADDED, CHANGED, DELETED = "A", "C", "D"


class Change(NamedTuple):
    """One path that differs."""

    kind: str
    path: str
    size: int


def stacks(store: Store, words: Sequence[str]) -> tuple[tuple[Digest, ...], tuple[Digest, ...]]:
    """Return the layers of both sides; for one word, of the image without its last layer and with it."""
    if len(words) == 2:
        return _stack(store, words[0]), _stack(store, words[1])
    whole = _stack(store, words[0])
    if not whole:
        raise UsageError(f"{words[0]} has no layers")
    return whole[:-1], whole


def _stack(store: Store, word: str) -> tuple[Digest, ...]:
    """Read IMAGE, IMAGE@N (its first N layers), or a layer's diffID."""
    name, at, count = word.rpartition("@")
    if at and count.isascii() and count.isdigit():
        layers = naming.resolve(store, name).image.diff_ids
        if int(count[:6]) > len(layers):
            raise UsageError(f"{name} has only {len(layers)} layers")
        return layers[: int(count[:6])]
    try:
        return naming.resolve(store, word).image.diff_ids
    except NotFoundError:
        layer = _layer(store, word)
        if layer is None:
            raise
        return (layer,)


def _layer(store: Store, word: str) -> Digest | None:
    try:
        digest = Digest.parse(word)
    except LaminaError:
        return None
    return digest if store.layers.has(digest) else None


def changes(
    store: Store, before: Sequence[Digest], after: Sequence[Digest], *, contents: bool
) -> Iterator[Change]:
    """Yield what became of each path that differs, sorted.

    Files of equal size and time are taken as equal; with `contents` they are read.
    """
    old, new = Tree(store, before), Tree(store, after)
    compare = _Comparison(store, old, new, contents=contents)
    paths_old = {path: node.inode for path, node in old.walk()}
    paths_new = {path: node.inode for path, node in new.walk()}
    for path in sorted(paths_old.keys() | paths_new.keys()):
        first, second = paths_old.get(path), paths_new.get(path)
        kind = ADDED if first is None else DELETED if second is None else CHANGED
        if first is not None and second is not None and compare.equal(first, second):
            continue
        entry = (second or first).entry  # type: ignore[union-attr]  # one of them is there
        yield Change(kind, "/" + os.fsdecode(path), entry.size)


class _Comparison:
    def __init__(self, store: Store, old: Tree, new: Tree, *, contents: bool) -> None:
        self._store, self._old, self._new, self._contents = store, old, new, contents

    def equal(self, first: Inode, second: Inode) -> bool:
        a, b = first.entry, second.entry
        if (a.kind, a.mode, a.uid, a.gid, a.link, a.rdev, a.xattrs) != (
            b.kind,
            b.mode,
            b.uid,
            b.gid,
            b.link,
            b.rdev,
            b.xattrs,
        ):
            return False
        if (a.mtime, a.mtime_nsec) != (b.mtime, b.mtime_nsec) or a.size != b.size:
            return False
        if not self._contents or not a.size:
            return True
        places = [
            (tree.diff_ids[inode.layer], inode.entry.data_offset)
            for tree, inode in ((self._old, first), (self._new, second))
        ]
        return places[0] == places[1] or self._same_bytes(places, a.extents == b.extents, a.size)

    def _same_bytes(self, places: list[tuple[Digest, int]], alike: bool, size: int) -> bool:  # noqa: FBT001
        if not alike:
            return False
        with self._store.layers.open(places[0][0]) as one, self._store.layers.open(places[1][0]) as other:
            one.seek(places[0][1])
            other.seek(places[1][1])
            while size:
                data = one.read(min(PIECE, size))
                if not data or data != other.read(len(data)):
                    return False
                size -= len(data)
        return True
