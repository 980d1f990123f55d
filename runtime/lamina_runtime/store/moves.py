"""Where the data of a layer lies that was found in another layer as well (dedup).

Theory.  A move says that SIZE bytes at an offset of this layer's tar are to be read at an offset of
another layer's tar.  Sources are never themselves moved away, so one step always suffices.  While
a layer has moves, its tar has holes in their places.

Format: MAGIC, then for each move its offset, its size and the offset in the source as 8 bytes
little-endian each, and the 64 characters of the source's tag; sorted by offset, not overlapping.
"""

from __future__ import annotations

import itertools
import os
from _struct import Struct

from lamina_runtime.store.errors import StoreError
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

NAME = "moves"
MAGIC = b"LAMMOVE1"
BLOCK = 4096  # of the disk: what is moved frees whole blocks only
_RECORD = Struct("<QQQ64s")


@value
class Move:
    """Some bytes that lie elsewhere."""

    offset: int
    size: int
    source_offset: int
    source: str  # tag


def read(layer: Path) -> list[Move]:
    """Return the moves of a layer, given its directory."""
    try:
        raw = (layer / NAME).read_bytes()
    except FileNotFoundError:
        return []
    if not raw.startswith(MAGIC) or (len(raw) - len(MAGIC)) % _RECORD.size:
        raise StoreError(f"layer {layer.name}: its list of moved data is damaged")
    found = [
        Move(offset, size, source_offset, source.decode("ascii", "replace"))
        for offset, size, source_offset, source in _RECORD.iter_unpack(raw[len(MAGIC) :])
    ]
    if any(one.offset + one.size > two.offset for one, two in itertools.pairwise(found)):
        raise StoreError(f"layer {layer.name}: its moved data overlap")
    return found


def dump(found: Iterable[Move]) -> bytes:
    """Return the file for some moves."""
    records = (
        _RECORD.pack(move.offset, move.size, move.source_offset, move.source.encode())
        for move in sorted(found)
    )
    return MAGIC + b"".join(records)


def are_due(tar: Path, found: Sequence[Move]) -> bool:
    """Say whether a tar still has blocks for what was moved: a dedup was interrupted before the end."""
    if not found:
        return False
    with tar.open("rb") as file:
        return any(_has_blocks(file.fileno(), move) for move in found)


def _has_blocks(fd: int, move: Move) -> bool:
    start = -(-move.offset // BLOCK) * BLOCK
    end = (move.offset + move.size) // BLOCK * BLOCK
    try:
        return os.lseek(fd, start, os.SEEK_DATA) < end
    except OSError:  # ENXIO: nothing but a hole until the end
        return False


def sources(layer: Path) -> set[str]:
    """Return the tags of the layers in which data of a layer lies."""
    return {move.source for move in read(layer)}
