"""Layer tars and merged images: scan a tar into its index, read an index, build the EROFS image.

The scanner and the builder are C; docs/on-disk.md ("Layer index", "Merged image") has the formats and
the limits.  A scanner belongs to one thread at a time; `feed` and `build` run without the interpreter
lock, so that several layers can be scanned at once.

An extension of its own, so that a mount does not load it.
"""

from __future__ import annotations

import errno
import mmap
import os
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from lamina_native._image import ffi, lib
from lamina_native.tarscan import IndexDamaged as IndexDamaged
from lamina_native.tarscan import IndexInfo as IndexInfo
from lamina_native.tarscan import LaminaTarError as LaminaTarError
from lamina_native.tarscan import TarScanner as TarScanner
from lamina_native.tarscan import index_info as index_info
from lamina_native.tarscan import open_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from lamina_native._image import CData

INDEX_VERSION: int = lib.LAM_INDEX_VERSION
MAX_LAYERS: int = lib.LAM_IMAGE_MAX_LAYERS

FILE: int = lib.LAM_KIND_FILE
DIR: int = lib.LAM_KIND_DIR
SYMLINK: int = lib.LAM_KIND_SYMLINK
HARDLINK: int = lib.LAM_KIND_HARDLINK
CHAR: int = lib.LAM_KIND_CHAR
BLOCK: int = lib.LAM_KIND_BLOCK
FIFO: int = lib.LAM_KIND_FIFO
WHITEOUT: int = lib.LAM_KIND_WHITEOUT
OPAQUE: int = lib.LAM_KIND_OPAQUE

_PACKED = Struct("<IHBBIIqQQIIIIIHH")
_SIZES = Struct("<II")
_EXTENT = Struct("<QQ")
_BATCH = 1 << 18
_LARGEST = 32 << 20  # an entry with as many attributes and runs of data as there may be
_WHY_SIZE = 512


class BuildRefused(OSError):
    """An image that cannot be built; `reason` is one line for the user."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(number, reason)
        self.reason = reason


class Extent(NamedTuple):
    """A run of data in a sparse file; the next one's data follows at once in the tar."""

    offset: int
    size: int


class Entry(NamedTuple):
    """One record of an index.  Of a whiteout or an opaque only `path` and `kind` mean something."""

    path: bytes  # relative and tidy; b"" is the root
    kind: int
    mode: int
    uid: int
    gid: int
    mtime: int
    mtime_nsec: int
    size: int
    data_offset: int  # in the tar, a multiple of 512
    link: bytes  # of a symbolic link its text, of a hard link the path of its file
    xattrs: dict[bytes, bytes]
    rdev: tuple[int, int]  # major, minor
    extents: tuple[Extent, ...] | None  # None: not sparse


def entries(index: bytes | mmap.mmap) -> Iterator[Entry]:
    """Yield the records in the tar's order; raise IndexDamaged."""
    handle = open_index(index)
    batch = bytearray(_BATCH)
    while True:
        used = lib.lam_index_pack(handle, ffi.from_buffer(batch), len(batch))
        if used == 0:
            break
        if used < 0:
            if len(batch) >= _LARGEST or used != -errno.ENOSPC:
                raise IndexDamaged("the layer's index is damaged")
            batch = bytearray(_LARGEST)
            continue
        yield from _unpack(bytes(memoryview(batch)[:used]))
    ffi.release(handle)


def _unpack(batch: bytes) -> Iterator[Entry]:
    at = 0
    while at < len(batch):
        (
            length, mode, kind, sparse, uid, gid, mtime, size, offset, nsec, major, minor,
            xattr_count, extent_count, path_size, link_size,
        ) = _PACKED.unpack_from(batch, at)  # fmt: skip
        path_at = at + _PACKED.size
        link_at = path_at + path_size
        next_at = link_at + link_size
        xattrs: dict[bytes, bytes] = {}
        for _ in range(xattr_count):
            name_size, value_size = _SIZES.unpack_from(batch, next_at)
            name_at = next_at + _SIZES.size
            next_at = name_at + name_size + value_size
            xattrs[batch[name_at : name_at + name_size]] = batch[name_at + name_size : next_at]
        extents = None
        if sparse:
            end = next_at + extent_count * _EXTENT.size
            extents = tuple(Extent._make(pair) for pair in _EXTENT.iter_unpack(batch[next_at:end]))
        yield Entry(
            batch[path_at:link_at], kind, mode, uid, gid, mtime, nsec, size, offset,
            batch[link_at : link_at + link_size], xattrs, (major, minor), extents,
        )  # fmt: skip
        at += length


@dataclass(frozen=True, slots=True)
class Move:
    """Bytes of a layer's tar that are to be read at another place, their own being holes."""

    offset: int
    size: int
    target: int  # which of the layers
    target_offset: int


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of an image to build; without an index, a tar that moves lead to."""

    index: Path | None
    tar: Path
    tag: str  # its diffID in hexadecimal: the name of the image's device
    moves: tuple[Move, ...] = ()  # sorted by offset


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """What was built."""

    inodes: int
    names: int
    size: int  # of the image, in bytes
    file_size: int  # sum of the sizes of regular files, each inode once
    uuid: bytes


def build(out_fd: int, layers: Sequence[Layer], *, squash: tuple[int, int] | None = None) -> BuildInfo:
    """Write the merged EROFS image of `layers`, base first, to an empty file open for reading and writing.

    The same layers give the same bytes.  Nothing is synced.  Raise BuildRefused, or OSError for a
    file that cannot be read.
    """
    options = ffi.new("struct lam_image_options *")
    if squash is not None:
        options.flags = lib.LAM_IMAGE_SQUASH
        options.squash_uid, options.squash_gid = squash
    info = ffi.new("struct lam_image_info *")
    why = ffi.new("char[]", _WHY_SIZE)
    with _Opened(layers) as array:
        result = lib.lam_image_build(out_fd, array, len(layers), options, info, why, _WHY_SIZE)
    if result < 0:
        text = ffi.string(why).decode("utf-8", "backslashreplace")
        raise BuildRefused(-result, text or os.strerror(-result))
    return BuildInfo(info.inodes, info.names, info.bytes, info.file_size, bytes(ffi.buffer(info.uuid)))


class _Opened:
    """The layers' files, open and mapped, as the array that C takes."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.array = ffi.new("struct lam_image_layer[]", max(1, len(layers)))
        self.layers = layers
        self.fds: list[int] = []
        self.maps: list[tuple[mmap.mmap, CData]] = []
        self.moves: list[CData] = []  # C reads them until the end

    def __enter__(self) -> CData:
        try:
            for slot, layer in zip(self.array, self.layers, strict=False):
                self._open(slot, layer)
        except BaseException:
            self.close()
            raise
        return self.array

    def _open(self, slot: CData, layer: Layer) -> None:
        if layer.index is not None:
            with layer.index.open("rb") as stream:
                if os.fstat(stream.fileno()).st_size == 0:
                    raise IndexDamaged(f"{layer.index}: empty")
                mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            buffer = ffi.from_buffer(mapped)
            self.maps.append((mapped, buffer))
            slot.index, slot.index_size = buffer, len(buffer)
        self.moves.append(ffi.new("struct lam_image_move[]", max(1, len(layer.moves))))
        for place, move in zip(self.moves[-1], layer.moves, strict=False):
            place.offset, place.size = move.offset, move.size
            place.target, place.target_offset = move.target, move.target_offset
        slot.moves, slot.move_count = self.moves[-1], len(layer.moves)
        self.fds.append(os.open(layer.tar, os.O_RDONLY | os.O_CLOEXEC))
        slot.tar_fd, slot.tar_size = self.fds[-1], os.fstat(self.fds[-1]).st_size
        tag = layer.tag.encode("ascii")
        if len(tag) > lib.LAM_IMAGE_TAG_SIZE:
            raise ValueError(f"a device's tag has at most {lib.LAM_IMAGE_TAG_SIZE} bytes: {layer.tag}")
        ffi.buffer(slot.tag)[: len(tag)] = tag

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for mapped, buffer in self.maps:
            ffi.release(buffer)
            mapped.close()
        for fd in self.fds:
            os.close(fd)
        self.maps, self.fds = [], []
