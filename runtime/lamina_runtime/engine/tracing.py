"""`lamina why`: which layer a path comes from, which step made that layer, what it hides."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, NamedTuple

import lamina_native.image as native

from lamina_runtime.engine import steps
from lamina_runtime.engine.trees import Tree
from lamina_runtime.errors import LaminaError

if TYPE_CHECKING:
    from lamina_native.image import Entry

    from lamina_runtime.store import Store
    from lamina_runtime.store.images import Image

MOST_LINKS = 40
KINDS = {
    native.FILE: "file",
    native.DIR: "directory",
    native.SYMLINK: "symbolic link",
    native.HARDLINK: "hard link",
    native.CHAR: "character device",
    native.BLOCK: "block device",
    native.FIFO: "fifo",
}


class Source(NamedTuple):
    """An entry in a layer; layers are counted from 1, the base."""

    layer: int
    diff_id: str
    kind: str
    size: int
    created_by: str


class HiddenSource(NamedTuple):
    """An entry that cannot be seen, and the layer that hides it."""

    source: Source
    by: int
    how: str


class Answer(NamedTuple):
    """Why a path is as it is; without a source it is not there."""

    path: str  # after links were followed
    source: Source | None
    hides: tuple[HiddenSource, ...]
    link: str
    layers: int


def why(store: Store, image: Image, path: str) -> Answer:
    """Explain a path of an image; links on the way are followed, the last name is not."""
    tree = Tree(store, image.diff_ids)
    real = _followed(tree, path)
    watched = Tree(store, image.diff_ids, watched=real)
    made_by = {step.diff_id: step.entry.created_by for step in steps.of(store, image)}

    def source(entry: Entry, layer: int) -> Source:
        diff_id = image.diff_ids[layer] if image.diff_ids else None
        return Source(
            layer + 1,
            str(diff_id or ""),
            KINDS[entry.kind],
            entry.size,
            made_by.get(diff_id, "") if diff_id else "",
        )

    node = watched.find(real)
    hidden = tuple(
        HiddenSource(source(one.entry, one.layer), one.by + 1, one.how) for one in reversed(watched.hidden)
    )
    return Answer(
        "/" + os.fsdecode(real),
        source(node.inode.entry, node.inode.layer) if node else None,
        hidden,
        os.fsdecode(node.inode.entry.link) if node and node.inode.entry.kind == native.SYMLINK else "",
        len(image.diff_ids),
    )


def _followed(tree: Tree, path: str) -> bytes:
    """Return a path with the links among its directories followed."""
    rest = [name for name in posixpath.normpath("/" + path).split("/") if name]
    at: list[str] = []
    links = 0
    while rest:
        name = rest.pop(0)
        if name in ("", "."):
            continue
        if name == "..":
            at = at[:-1]
            continue
        node = tree.find(os.fsencode("/".join([*at, name])))
        if rest and node is not None and node.inode.entry.kind == native.SYMLINK:
            links += 1
            if links > MOST_LINKS:
                raise LaminaError(f"{path}: too many levels of symbolic links")
            target = os.fsdecode(node.inode.entry.link)
            rest = [*target.split("/"), *rest]
            at = [] if target.startswith("/") else at
            continue
        at.append(name)
    return os.fsencode("/".join(at))
