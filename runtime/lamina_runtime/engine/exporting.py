"""`lamina export`: the merged tree of an image as one tar, the same bytes for the same image."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, BinaryIO

import lamina_native.image as native

from lamina_runtime.engine import naming, output_file
from lamina_runtime.engine.trees import Tree
from lamina_runtime.errors import IntegrityError

if TYPE_CHECKING:
    from lamina_runtime.engine.context import Engine
    from lamina_runtime.engine.trees import Inode
    from lamina_runtime.store import Store

PIECE = 1 << 20
TYPES = {
    native.FILE: tarfile.REGTYPE,
    native.DIR: tarfile.DIRTYPE,
    native.SYMLINK: tarfile.SYMTYPE,
    native.CHAR: tarfile.CHRTYPE,
    native.BLOCK: tarfile.BLKTYPE,
    native.FIFO: tarfile.FIFOTYPE,
}


def export(engine: Engine, word: str, *, path: str, stream: BinaryIO | None) -> None:
    """Write the tree of an image to a file or a stream."""
    store = engine.store
    with store.lease(f"export {word}"):
        image = naming.resolve(store, word).image
        tree = Tree(store, image.diff_ids)
        with output_file.created(path, stream) as file:
            _Writer(store, tree, file).write()


class _Writer:
    def __init__(self, store: Store, tree: Tree, file: BinaryIO) -> None:
        self._store, self._tree, self._file = store, tree, file
        self._names: dict[int, str] = {}  # by the identity of inodes, which the tree keeps alive
        self._position = 0

    def write(self) -> None:
        for path, node in self._tree.walk():
            self._member(path.decode("utf-8", "surrogateescape") or ".", node.inode)
        self._put(bytes(2 * tarfile.BLOCKSIZE))
        self._put(bytes(-self._position % tarfile.RECORDSIZE))
        self._file.flush()

    def _member(self, name: str, inode: Inode) -> None:
        entry = inode.entry
        first = self._names.setdefault(id(inode), name)
        member = tarfile.TarInfo(name)
        member.mode, member.uid, member.gid = entry.mode, entry.uid, entry.gid
        member.mtime = max(entry.mtime, 0)
        extended: dict[str, str] = {}
        if entry.mtime_nsec or entry.mtime < 0:
            extended["mtime"] = _seconds(entry.mtime, entry.mtime_nsec)
        if first != name and not inode.is_directory:
            member.type, member.linkname = tarfile.LNKTYPE, first
        else:
            member.type = TYPES[entry.kind]
            member.linkname = entry.link.decode("utf-8", "surrogateescape")
            member.devmajor, member.devminor = entry.rdev
            member.size = entry.size if entry.kind == native.FILE else 0
            for key, value in sorted(entry.xattrs.items()):
                key_text = key.decode("utf-8", "surrogateescape")
                extended[f"SCHILY.xattr.{key_text}"] = value.decode("utf-8", "surrogateescape")
        member.pax_headers = extended
        self._put(member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        if member.size:
            self._data(inode)
            self._put(bytes(-self._position % tarfile.BLOCKSIZE))

    def _data(self, inode: Inode) -> None:
        entry = inode.entry
        with self._store.layers.open(self._tree.diff_ids[inode.layer]) as source:
            source.seek(entry.data_offset)
            at = 0
            for offset, size in entry.extents if entry.extents is not None else ((0, entry.size),):
                self._zeros(offset - at)
                self._copy(source, size)
                at = offset + size
            self._zeros(entry.size - at)

    def _copy(self, source: BinaryIO, size: int) -> None:
        while size:
            data = source.read(min(size, PIECE))
            if not data:
                raise IntegrityError(
                    "a layer's tar is shorter than its index says", hint="lamina store check"
                )
            self._put(data)
            size -= len(data)

    def _zeros(self, size: int) -> None:
        while size:
            self._put(bytes(min(size, PIECE)))
            size -= min(size, PIECE)

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._position += len(data)


def _seconds(seconds: int, nanoseconds: int) -> str:
    """Write a time as PAX does: a decimal number."""
    if seconds < 0 and nanoseconds:
        seconds, nanoseconds = seconds + 1, 10**9 - nanoseconds
        return f"-{-seconds}.{nanoseconds:09d}"
    return f"{seconds}.{nanoseconds:09d}" if nanoseconds else str(seconds)
