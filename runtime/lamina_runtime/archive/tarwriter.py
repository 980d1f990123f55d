"""The outer tar of an archive that we write: the same members give the same bytes.

ustar headers with nobody's name, no time but the epoch's, and base-256 sizes where octal ends.
"""

from __future__ import annotations

import errno
import io
import os
from typing import BinaryIO

from lamina_runtime.archive.errors import ArchiveError

BLOCK = 512
RECORD = 20 * BLOCK
PIECE = 1 << 20
LARGEST_OCTAL = 1 << 33
LONGEST_NAME = 100
_CANNOT = (errno.EINVAL, errno.ENOSYS, errno.EXDEV, errno.EOPNOTSUPP)


class TarWriter:
    """Writes members to a stream that need not be seekable."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._position = 0

    def directory(self, name: str) -> None:
        """Add a directory."""
        self._header(name + "/", 0, mode=0o755, kind=b"5")

    def file(self, name: str, data: bytes) -> None:
        """Add a small file."""
        self._header(name, len(data), mode=0o644, kind=b"0")
        self._write(data)
        self._pad(BLOCK)

    def copy(self, name: str, source: BinaryIO, size: int) -> None:
        """Add a file of `size` bytes from where `source` stands; raise ArchiveError if it has fewer."""
        self._header(name, size, mode=0o644, kind=b"0")
        left = size - self._send(source, size)
        while left:
            data = source.read(min(left, PIECE))
            if not data:
                raise ArchiveError(f"{name}: {left} bytes are missing")
            self._write(data)
            left -= len(data)
        self._pad(BLOCK)

    def end(self) -> None:
        """Write the end of the archive."""
        self._write(bytes(2 * BLOCK))
        self._pad(RECORD)
        self._stream.flush()

    def _send(self, source: BinaryIO, size: int) -> int:
        """Let the kernel copy as much as it will from file to file; return how much that was."""
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

    def _header(self, name: str, size: int, *, mode: int, kind: bytes) -> None:
        raw = name.encode()
        assert len(raw) <= LONGEST_NAME, "names of archives are short"
        length = b"%011o\0" % size if size < LARGEST_OCTAL else b"\x80" + size.to_bytes(11, "big")
        fields = [
            raw.ljust(100, b"\0"), b"%07o\0" % mode, b"0000000\0", b"0000000\0", length, b"00000000000\0",
            b" " * 8, kind, bytes(100), b"ustar\x0000", bytes(64), b"0000000\0", b"0000000\0",
        ]  # fmt: skip
        header = b"".join(fields).ljust(BLOCK, b"\0")
        self._write(header[:148] + b"%06o\0 " % sum(header) + header[156:])

    def _pad(self, unit: int) -> None:
        self._write(bytes(-self._position % unit))

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._position += len(data)
