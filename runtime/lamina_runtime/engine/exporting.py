"""`lamina export`: the merged tree of an image as one tar, the same bytes for the same image."""

from __future__ import annotations

import contextlib
import stat
from typing import TYPE_CHECKING, BinaryIO, Self

import lamina_native.image as native

from lamina_runtime.engine import naming, output_file
from lamina_runtime.engine.trees import Tree
from lamina_runtime.errors import IntegrityError, NotFoundError
from lamina_runtime.tar.header import Member
from lamina_runtime.tar.writer import RECORD, TarWriter

if TYPE_CHECKING:
    from lamina_runtime.engine.context import Engine
    from lamina_runtime.engine.trees import Inode
    from lamina_runtime.store import Store

TYPES = {
    native.FILE: stat.S_IFREG,
    native.DIR: stat.S_IFDIR,
    native.SYMLINK: stat.S_IFLNK,
    native.CHAR: stat.S_IFCHR,
    native.BLOCK: stat.S_IFBLK,
    native.FIFO: stat.S_IFIFO,
}


def export(engine: Engine, word: str, *, path: str, stream: BinaryIO | None) -> None:
    """Write the tree of an image to a file or a stream."""
    store = engine.store
    with store.lease(f"export {word}"):
        try:
            image = naming.resolve(store, word).image
        except NotFoundError as missing:
            raise NotFoundError(f"no such container or image: {word}") from missing
        tree = Tree(store, image.diff_ids)
        with output_file.created(path, stream) as file, _Layers(store, tree) as layers:
            _write(layers, tree, TarWriter.over(file))
            file.flush()


class _Layers:
    """The tars that data comes from, each opened once."""

    def __init__(self, store: Store, tree: Tree) -> None:
        self._store, self._tree = store, tree
        self._open: dict[int, BinaryIO] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __getitem__(self, number: int) -> BinaryIO:
        if number not in self._open:
            opened = self._store.layers.open(self._tree.diff_ids[number])
            self._open[number] = self._stack.enter_context(opened)
        return self._open[number]


def _write(layers: _Layers, tree: Tree, tar: TarWriter) -> None:
    names: dict[int, bytes] = {}  # by the identity of inodes, which the tree keeps alive
    for path, node in tree.walk():
        inode = node.inode
        first = names.setdefault(id(inode), path)
        if first != path and not inode.is_directory:
            tar.add_link(_member(path, inode), first)
            continue
        tar.add(_member(path, inode))
        if inode.entry.kind == native.FILE and inode.entry.size:
            _data(layers[inode.layer], inode, tar)
    tar.end(RECORD)


def _member(path: bytes, inode: Inode) -> Member:
    entry = inode.entry
    moment = entry.mtime * 10**9 + entry.mtime_nsec
    return Member(
        path, TYPES[entry.kind] | stat.S_IMODE(entry.mode), entry.uid, entry.gid, moment, entry.size,
        entry.link, entry.rdev, entry.xattrs,
    )  # fmt: skip


def _data(source: BinaryIO, inode: Inode, tar: TarWriter) -> None:
    entry = inode.entry
    source.seek(entry.data_offset)
    at = 0
    for offset, size in entry.extents if entry.extents is not None else ((0, entry.size),):
        tar.zeros(offset - at)
        if tar.copy(source, size) != size:
            raise IntegrityError("a layer's tar is shorter than its index says", hint="lamina store check")
        at = offset + size
    tar.zeros(entry.size - at)
