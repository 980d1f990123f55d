"""The tar of a layer some of whose data lies in other layers, as the bytes that it was."""

from __future__ import annotations

import io
import os
from _bisect import bisect_right

from lamina_runtime import contexts
from lamina_runtime.store import moves

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from lamina_runtime.store.moves import Move


class _Assembled(io.RawIOBase):
    """Reads what was not moved from the tar itself, the rest from where it is."""

    def __init__(
        self, own: int, found: Sequence[Move], sources: Mapping[str, int], stack: contexts.ExitStack
    ) -> None:
        self._own, self._moves, self._sources, self._stack = own, found, sources, stack
        self._starts = [move.offset for move in found]
        self._size = os.fstat(own).st_size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override] # what BufferedReader gives
        fd, at, room = self._where()
        with memoryview(buffer) as view:
            got = os.preadv(fd, [view[: min(room, len(view))]], at) if room else 0
        self._at += got
        return got

    def _where(self) -> tuple[int, int, int]:
        """Return a descriptor, a position there, and how many bytes may be read at it."""
        number = bisect_right(self._starts, self._at)
        if number:
            move = self._moves[number - 1]
            inside = self._at - move.offset
            if inside < move.size:
                return self._sources[move.source], move.source_offset + inside, move.size - inside
        end = self._starts[number] if number < len(self._starts) else self._size
        return self._own, self._at, max(0, end - self._at)

    def close(self) -> None:
        if not self.closed:
            self._stack.close()
        super().close()


def open_tar(devices: Path, layer: Path) -> BinaryIO:
    """Open a layer's tar, given the directory of the tars and that of the layer."""
    found = moves.read(layer)
    if not found:
        return (devices / layer.name).open("rb")
    with contexts.ExitStack() as stack:
        own = _opened(devices / layer.name, stack)
        sources = {name: _opened(devices / name, stack) for name in sorted({move.source for move in found})}
        return io.BufferedReader(_Assembled(own, found, sources, stack.pop_all()), 1 << 20)
    raise AssertionError("an contexts.ExitStack that swallows exceptions")


def _opened(path: Path, stack: contexts.ExitStack) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    return fd
