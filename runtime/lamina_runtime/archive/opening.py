"""Open what was named on the command line: a file or a pipe, whatever it is compressed with.

The content decides, never the name.  Decompression happens as the stream is read; a member's
size is in its header, so a bomb is no larger than it says, and the disk's fullness is an error
like any other.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

from lamina_runtime.archive.errors import ArchiveError
from lamina_runtime.layer import decompress
from lamina_runtime.layer.errors import CorruptLayerError

if TYPE_CHECKING:
    from collections.abc import Iterator

STDIN = "-"
PIECE = 1 << 20


class Plain:
    """A stream of bytes as they are; `seekable` if it is a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        found = os.fstat(file.fileno())
        self.seekable = stat.S_ISREG(found.st_mode)
        self.size = found.st_size if self.seekable else 0
        self._head = b""

    def peek(self, count: int) -> bytes:
        """Return the first `count` bytes, fewer only at the end, without taking them."""
        while len(self._head) < count:
            more = self._file.read(count - len(self._head))
            if not more:
                break
            self._head += more
        return self._head

    def read(self, count: int, /) -> bytes:
        """Return up to `count` bytes, b"" at the end."""
        if self._head:
            data, self._head = self._head[:count], self._head[count:]
            return data
        return self._file.read(count)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move in a seekable stream."""
        if whence == os.SEEK_CUR:
            offset -= len(self._head)
        self._head = b""
        return self._file.seek(offset, whence)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._file.fileno()


class Decompressed:
    """A compressed stream as what it decompresses to."""

    seekable = False

    def __init__(self, plain: Plain, compression: str) -> None:
        self._plain, self._compression = plain, compression
        self._pieces = self._run(decompress.decompressor(compression))
        self._rest = memoryview(b"")
        self.size = 0

    def read(self, count: int, /) -> bytes:
        """Return up to `count` bytes, b"" at the end."""
        while not self._rest:
            try:
                piece = next(self._pieces, None)
            except CorruptLayerError as error:
                raise ArchiveError(
                    f"the archive's {self._compression} stream is damaged or cut off",
                    hint="transfer it again",
                ) from error
            if piece is None:
                return b""
            self._rest = memoryview(piece)
        data, self._rest = bytes(self._rest[:count]), self._rest[count:]
        return data

    def _run(self, decompressor: decompress.Decompressor) -> Iterator[bytes]:
        while data := self._plain.read(PIECE):
            yield from decompressor.feed(data)
        decompressor.finish()


@contextlib.contextmanager
def plainly_opened(name: str) -> Iterator[Plain]:
    """Open a file by name, "-" for stdin, and give its bytes as they are."""
    if name == STDIN:
        descriptor = os.dup(0)
    else:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise ArchiveError(f"{name} is a directory")
    with open(descriptor, "rb", buffering=0) as file:
        plain = Plain(file)
        if not plain.peek(decompress.HEAD):
            raise ArchiveError("stdin is empty" if name == STDIN else f"{name} is empty")
        yield plain


@contextlib.contextmanager
def opened(name: str) -> Iterator[Plain | Decompressed]:
    """Open a file by name, "-" for stdin, and give what it decompresses to."""
    with plainly_opened(name) as plain:
        compression = decompress.detect(plain.peek(decompress.HEAD))
        yield plain if compression == "none" else Decompressed(plain, compression)
