"""The outer tar of an archive: its members, one after the other, from a stream.

Theory.  What an archive of images needs of tar is little: names, sizes, links, in any of the
dialects that writers use (ustar, GNU long names, PAX, base-256 sizes).  The data of a member
goes straight to whoever wants it; nothing is kept here but the header at hand.  The tars of
layers are another matter: their scanner is in C (`lamina_native.image`).

Everything is hostile: sizes, counts and names have bounds, checksums are verified, and names
that are absolute or climb are refused before anybody sees them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from lamina_runtime.archive.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 512
MOST_MEMBERS = 200_000
LONGEST_NAME = 4096
LONGEST_EXTENSION = 1 << 20  # PAX headers and GNU long names
LARGEST_MEMBER = 1 << 60
LARGEST_TAIL = 64 << 20  # tar pads to 10 KiB, tapes to more
PIECE = 1 << 20

FILE, DIRECTORY, SYMLINK, LINK, OTHER = "file", "directory", "symlink", "link", "other"
_KINDS = {b"0": FILE, b"\0": FILE, b"7": FILE, b"5": DIRECTORY, b"2": SYMLINK, b"1": LINK}


class Readable(Protocol):
    """What we use of a stream: read() may return less than asked for, b"" at the end only."""

    def read(self, count: int, /) -> bytes:
        """Return up to `count` bytes."""


class Member(NamedTuple):
    """One member; `offset` is where its data begins in the (decompressed) archive."""

    name: str
    kind: str
    size: int
    link: str
    offset: int


class TarStream:
    """Read the members of a tar in order; `read` gives the data of the one that came last.

    With `skip`, data that nobody reads is jumped over by it instead of being read.
    """

    def __init__(self, stream: Readable, *, seekable: bool = False) -> None:
        self._stream = stream
        self._seekable = seekable
        self._position = 0
        self._left = 0  # of the current member's data
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        count = 0
        while (member := self._next()) is not None:
            count += 1
            if count > MOST_MEMBERS:
                raise ArchiveError(f"the archive has more than {MOST_MEMBERS} members")
            yield member

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes of the current member, b"" at its end."""
        count = min(count, self._left)
        if not count:
            return b""
        data = self._stream.read(count)
        if not data:
            raise _truncated()
        self._left -= len(data)
        self._position += len(data)
        return data

    def drain(self) -> None:
        """Read what follows the end, so that a pipe's writer is not cut off and a checksum is seen."""
        left = LARGEST_TAIL
        while data := self._stream.read(PIECE):
            left -= len(data)
            if left < 0:
                raise ArchiveError(f"the archive goes on for more than {LARGEST_TAIL} bytes after its end")

    def _next(self) -> Member | None:
        extended: dict[str, str] = {}
        while True:
            self._skip()
            header = self._block()
            if header is None:
                return None
            kind = header[156:157]
            size = _number(header[124:136], "size")
            if kind in (b"x", b"g", b"L", b"K"):
                if size > LONGEST_EXTENSION:
                    raise ArchiveError(f"the archive has an extended header of {size} bytes")
                self._begin(size)
                data = self._whole(size)
                if kind == b"x":
                    extended |= _pax(data)
                elif kind != b"g":
                    extended["path" if kind == b"L" else "linkpath"] = _text(data.split(b"\0", 1)[0])
                continue
            return self._member(header, kind, size, extended)

    def _member(self, header: bytes, kind: bytes, size: int, extended: dict[str, str]) -> Member:
        name = extended.get("path")
        if name is None:
            prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
            plain = header[:100].split(b"\0", 1)[0]
            name = _text(prefix + b"/" + plain if prefix else plain)
        link = extended.get("linkpath", _text(header[157:257].split(b"\0", 1)[0]))
        what = DIRECTORY if kind in (b"0", b"\0") and name.endswith("/") else _KINDS.get(kind, OTHER)
        if "size" in extended:
            size = _decimal(extended["size"])
        if what in (DIRECTORY, SYMLINK, LINK):
            size = 0
        self._begin(size)
        return Member(clean(name), what, size, link, self._position)

    def _begin(self, size: int) -> None:
        if size > LARGEST_MEMBER:
            raise ArchiveError(f"the archive has a member of {size} bytes")
        self._left, self._padding = size, -size % BLOCK

    def _skip(self) -> None:
        """Go behind the current member's data."""
        count = self._left + self._padding
        self._left = self._padding = 0
        if count and self._seekable:
            self._position += count
            self._stream.seek(count, 1)  # type: ignore[attr-defined]  # seekable says that it is there
            return
        while count:
            data = self._stream.read(min(count, PIECE))
            if not data:
                raise _truncated()
            count -= len(data)
            self._position += len(data)

    def _whole(self, size: int) -> bytes:
        pieces = []
        while size:
            data = self.read(size)
            pieces.append(data)
            size -= len(data)
        return b"".join(pieces)

    def _block(self) -> bytes | None:
        """Read a header; None at the end, which is a block of zeros or, for lax writers, nothing."""
        block = b""
        while len(block) < BLOCK:
            data = self._stream.read(BLOCK - len(block))
            if not data:
                if block:
                    raise _truncated() if self._position else _foreign()
                return None
            block += data
        self._position += BLOCK
        if not block.strip(b"\0"):
            return None
        if _checksum(block[148:156]) != sum(block[:148]) + 8 * 32 + sum(block[156:]):
            if self._position == BLOCK:
                raise _foreign()
            raise ArchiveError(f"the archive is damaged near byte {self._position - BLOCK}")
        return block


def clean(name: str) -> str:
    """Return a member's name without needless parts; raise ArchiveError if it leads out."""
    if len(name) > LONGEST_NAME:
        raise ArchiveError(f"the archive has a name of {len(name)} characters")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if "\0" in name:
        raise ArchiveError(f"the archive has a name that no file can have: {name!r}")
    if name.startswith("/") or ".." in parts:
        raise ArchiveError(f"the archive has a member that leads out of it: {name!r}")
    return "/".join(parts)


def _foreign() -> ArchiveError:
    return ArchiveError("not an image archive", hint="a tar (also compressed) or an OCI layout is wanted")


def _truncated() -> ArchiveError:
    return ArchiveError(
        "the archive is truncated", hint="it ends in the middle of a member; transfer it again"
    )


def _number(field: bytes, what: str) -> int:
    """Read an octal or base-256 field."""
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise ArchiveError(f"the archive has a negative {what}")
        return int.from_bytes(bytes((field[0] & 0x7F,)) + field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if digits.strip(b"01234567"):
        raise ArchiveError(f"the archive has a malformed {what}")
    return int(digits or b"0", 8)


def _checksum(field: bytes) -> int:
    digits = field.split(b"\0", 1)[0].strip(b" ")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else -1


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 20:
        raise ArchiveError("the archive has a malformed size")
    return int(text)


def _pax(data: bytes) -> dict[str, str]:
    """Read the records that concern us of a PAX header."""
    found = {}
    position = 0
    while position < len(data):
        space = data.find(b" ", position, position + 20)
        digits = data[position:space] if space > 0 else b""
        length = int(digits) if digits.isdigit() else 0
        record = data[space + 1 : position + length]
        if length <= len(digits) + 1 or position + length > len(data) or not record.endswith(b"\n"):
            raise ArchiveError("the archive has a malformed extended header")
        key, _, value = record[:-1].partition(b"=")
        if key in (b"path", b"linkpath", b"size"):
            found[key.decode()] = _text(value)
        position += length
    return found


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
