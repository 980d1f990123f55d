"""Tars, written as a stream such that the same members give the same bytes.

What a file is decides its bytes, not who writes it, when, or how the directory happened to be
ordered.  A hole is written as zeros: readers of layers do not agree on what a sparse member is.
"""

from __future__ import annotations

import errno
import io
import os
import stat

from lamina_runtime.tar.header import BLOCK, Member, encoded, encoded_link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO, Self

RECORD = 20 * BLOCK  # what tar(1) fills an archive up to
PIECE = 1 << 20
SENT = 1 << 16  # what is smaller is copied: it costs less than a flush and a system call of its own
ZEROS = bytes(1 << 16)
WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
_CANNOT = (errno.EINVAL, errno.ENOSYS, errno.EXDEV, errno.EOPNOTSUPP)


class TarWriter:
    """Writes members one after the other; of each file all bytes before the next member."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write, self._position, self._left = write, 0, 0
        self._stream: BinaryIO | None = None

    @classmethod
    def over(cls, stream: BinaryIO) -> Self:
        """Return a writer to a stream, which need not be seekable; copy() may then spare itself the bytes."""
        made = cls(stream.write)
        made._stream = stream
        return made

    def add(self, member: Member) -> None:
        """Write a header; data(), zeros() and copy() must bring what it promises."""
        self._header(encoded(member))
        self._left = member.size if stat.S_ISREG(member.mode) else 0

    def add_link(self, member: Member, target: bytes) -> None:
        """Write one more name of a file that came before."""
        self._header(encoded_link(member, target))

    def hide(self, path: bytes) -> None:
        """Write a whiteout."""
        parent, _, name = path.rpartition(b"/")
        self.add(Member(_joined(parent, WHITEOUT + name), stat.S_IFREG))

    def hide_all(self, directory: bytes) -> None:
        """Say that nothing of a directory shines through."""
        self.add(Member(_joined(directory, OPAQUE), stat.S_IFREG))

    def data(self, data: bytes | memoryview) -> None:
        """Write the next bytes of the file."""
        self._claim(len(data))
        self._put(bytes(data))
        self._count(len(data))

    def zeros(self, size: int) -> None:
        """Write a hole."""
        while size:
            piece = min(size, len(ZEROS))
            self.data(ZEROS[:piece])
            size -= piece

    def copy(self, source: BinaryIO, size: int) -> int:
        """Write the next `size` bytes of the file from where `source` stands; return how many it had."""
        self._claim(size)
        copied = self._send(source, size)
        self._count(copied)
        while copied < size and (data := source.read(min(size - copied, PIECE))):
            self.data(data)
            copied += len(data)
        return copied

    def end(self, unit: int = BLOCK) -> None:
        """Write the end, and fill up to a multiple of `unit`."""
        if self._left:
            raise ValueError("less data than the header says")
        self._put(bytes(2 * BLOCK))
        self._put(bytes(-self._position % unit))

    def _send(self, source: BinaryIO, size: int) -> int:
        """Let the kernel copy as much as it will from file to file; return how much that was."""
        if self._stream is None or size < SENT:
            return 0
        try:
            from_fd, to_fd = source.fileno(), self._stream.fileno()
        except (OSError, io.UnsupportedOperation):
            return 0
        self._stream.flush()
        offset = source.tell()
        sent = 0
        while sent < size:
            try:
                count = os.sendfile(to_fd, from_fd, offset + sent, min(size - sent, 1 << 30))
            except OSError as error:
                if error.errno in _CANNOT:
                    break
                raise
            if not count:
                break
            sent += count
        source.seek(offset + sent)
        self._position += sent
        return sent

    def _header(self, header: bytes) -> None:
        if self._left:
            raise ValueError("less data than the header says")
        self._put(header)

    def _claim(self, size: int) -> None:
        if size > self._left:
            raise ValueError("more data than the header says")

    def _count(self, size: int) -> None:
        self._left -= size
        if not self._left:
            self._put(bytes(-self._position % BLOCK))

    def _put(self, data: bytes) -> None:
        if data:
            self._write(data)
            self._position += len(data)


def _joined(parent: bytes, name: bytes) -> bytes:
    return parent + b"/" + name if parent else name
