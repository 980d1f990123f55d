"""Where the files of a saved archive go: one tar, or a directory."""

from __future__ import annotations

import shutil
import stat
from typing import TYPE_CHECKING, BinaryIO, Protocol

from lamina_runtime.archive.errors import ArchiveError
from lamina_runtime.tar.header import Member
from lamina_runtime.tar.writer import PIECE, RECORD, TarWriter

if TYPE_CHECKING:
    from pathlib import Path

DIRECTORY = stat.S_IFDIR | 0o755
FILE = stat.S_IFREG | 0o644
HINT = "lamina store check"


class Target(Protocol):
    """What takes the files."""

    def directory(self, name: str) -> None:
        """Make a directory."""

    def file(self, name: str, data: bytes) -> None:
        """Write a small file."""

    def copy(self, name: str, source: BinaryIO, size: int) -> None:
        """Write a file of `size` bytes from where `source` stands; raise ArchiveError for any other."""


class TarTarget:
    """A tar: nobody's files, of the epoch."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._tar = stream, TarWriter.over(stream)

    def directory(self, name: str) -> None:
        """Add a directory."""
        self._tar.add(Member(name.encode(), DIRECTORY))

    def file(self, name: str, data: bytes) -> None:
        """Add a small file."""
        self._tar.add(Member(name.encode(), FILE, size=len(data)))
        self._tar.data(data)

    def copy(self, name: str, source: BinaryIO, size: int) -> None:
        """Add a file from a stream."""
        self._tar.add(Member(name.encode(), FILE, size=size))
        copied = self._tar.copy(source, size)
        if source.read(1):  # a tar has its size before its bytes: there is no taking more
            raise ArchiveError(f"{name}: has more than {size} bytes", hint=HINT)
        _complete(name, copied, size)

    def end(self) -> None:
        """Write the end of the archive."""
        self._tar.end(RECORD)
        self._stream.flush()


class DirectoryTarget:
    """A layout as a directory, which must be new or empty."""

    def __init__(self, top: Path) -> None:
        self._top = top

    def directory(self, name: str) -> None:
        """Make a directory."""
        (self._top / name).mkdir()

    def file(self, name: str, data: bytes) -> None:
        """Write a small file."""
        (self._top / name).write_bytes(data)

    def copy(self, name: str, source: BinaryIO, size: int) -> None:
        """Write a file from a stream."""
        with (self._top / name).open("xb") as file:
            shutil.copyfileobj(source, file, PIECE)
            _complete(name, file.tell(), size)


def _complete(name: str, found: int, size: int) -> None:
    if found != size:
        raise ArchiveError(f"{name}: has {found} bytes, not {size}", hint=HINT)
