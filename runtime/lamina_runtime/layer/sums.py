"""Fast sums over pieces of a file: what a scrub compares, at the speed of the disk.

Theory.  A digest proves who sent something; that a disk still has it, XXH3-128 proves as well, ten
times as fast.  Files have one sum for each PIECE bytes, so that a report can say where.

Format: MAGIC, size of the file as 8 bytes little-endian, then the 16 bytes of each sum.
"""

from __future__ import annotations

from _struct import Struct

import xxhash

from lamina_runtime.layer.errors import CorruptLayerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 4 << 20
MAGIC = b"LAMSUMS1"
_HEAD = Struct("<8sQ")
_SUM = 16


class Summer:
    """Takes a file's bytes in order and makes its sums."""

    def __init__(self) -> None:
        self._sums: list[bytes] = []
        self._hash = xxhash.xxh3_128()
        self._room = PIECE
        self._size = 0

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        view = memoryview(data)
        self._size += len(view)
        while len(view) >= self._room:
            self._hash.update(view[: self._room])
            view = view[self._room :]
            self._sums.append(self._hash.digest())
            self._hash = xxhash.xxh3_128()
            self._room = PIECE
        self._hash.update(view)
        self._room -= len(view)

    def finish(self) -> bytes:
        """Return the file of sums."""
        last = [self._hash.digest()] if self._room < PIECE else []
        return _HEAD.pack(MAGIC, self._size) + b"".join(self._sums + last)


def differing(sums: bytes, pieces: Iterator[bytes]) -> Iterator[int]:
    """Yield the offset of each piece that is not as `sums` says; all but the last have PIECE bytes."""
    if len(sums) < _HEAD.size or not sums.startswith(MAGIC):
        raise CorruptLayerError("the file of sums is damaged")
    size = _HEAD.unpack_from(sums)[1]
    if len(sums) != _HEAD.size + _SUM * -(-size // PIECE):
        raise CorruptLayerError("the file of sums is cut off")
    offset = at = 0
    for number, piece in enumerate(pieces):
        at = _HEAD.size + number * _SUM
        if xxhash.xxh3_128_digest(piece) != sums[at : at + _SUM]:
            yield offset
        offset += len(piece)
    if offset < size:
        yield offset
