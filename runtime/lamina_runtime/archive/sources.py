"""Archives as something that can be asked for its parts.

Theory.  An archive names its images at its end as often as at its beginning.  Where it can be
read at any place (a plain tar file, a directory) it is indexed first, and of its layers only
those are read that are missing.  A pipe or a compressed file passes by once: what looks like a
layer goes into the store at once, as an orphan under the load's lease; what looks like a document
is kept in memory within bounds; when the end has come it is known what was what.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from lamina_runtime.archive.errors import ArchiveError
from lamina_runtime.archive.tarstream import (
    DIRECTORY,
    FILE,
    LINK,
    PIECE,
    SYMLINK,
    Member,
    Readable,
    TarStream,
    clean,
)
from lamina_runtime.errors import LaminaError
from lamina_runtime.layer.decompress import detect
from lamina_runtime.oci import media
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import Digest

if TYPE_CHECKING:
    from lamina_runtime.store.forms import LayerInfo

LARGEST_DOCUMENT = 4 << 20
MOST_DOCUMENTS = 256 << 20  # bytes of documents kept of an archive that passes by
MOST_HOPS = 40
LONGEST_SNIFF = 512
Advance = Callable[[int], None]


class Sink(Protocol):
    """What takes a layer: the store's layer writer."""

    offset: int

    def write(self, data: bytes, /) -> None:
        """Take a piece."""

    def commit(self) -> LayerInfo:
        """Verify and keep it."""


# Opens a sink for a layer: what is known of its blob, of its diffID, and whether to keep the blob.
Opener = Callable[[Descriptor | None, Digest | None], AbstractContextManager[Sink]]


class Archive(Protocol):
    """An archive under any form; one that is `passing` has brought its layers already."""

    passing: bool

    def has(self, name: str) -> bool:
        """Tell whether there is a file of this name."""

    def document(self, name: str) -> bytes:
        """Return a small file; raise ArchiveError if it is missing or too large."""

    def size(self, name: str) -> int:
        """Return the size of a file."""

    def layer(
        self, name: str, descriptor: Descriptor | None, diff_id: Digest | None, advance: Advance
    ) -> LayerInfo:
        """See to it that a layer is in the store; may be called from several threads."""


class Members:
    """The names of an archive, with its links followed."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}

    def add(self, member: Member) -> None:
        """Take note of a member; raise ArchiveError if its name came before."""
        before = self._members.get(member.name)
        if before is not None and not before.kind == member.kind == DIRECTORY:
            raise ArchiveError(f"the archive has two members of the name {member.name!r}")
        self._members[member.name] = member

    def find(self, name: str) -> Member | None:
        """Return the file that a name leads to, None if there is none."""
        for _ in range(MOST_HOPS):
            member = self._members.get(name)
            if member is None or member.kind == FILE:
                return member
            if member.kind == SYMLINK:
                if member.link.startswith("/"):
                    raise _leads_out(member)
                target = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.link))
                if target.startswith("../") or target in ("..", "."):
                    raise _leads_out(member)
                name = target
            elif member.kind == LINK:
                name = clean(member.link)
            else:
                return None
        raise ArchiveError(f"the archive's link {name!r} leads nowhere")

    def need(self, name: str) -> Member:
        """Return the file that a name leads to; raise ArchiveError if there is none."""
        member = self.find(name)
        if member is None:
            raise ArchiveError(f"the archive lacks {name!r}")
        return member


def _leads_out(member: Member) -> ArchiveError:
    return ArchiveError(f"the archive has a link that leads out of it: {member.name!r} to {member.link!r}")


class IndexedTar:
    """A plain tar in a file, read where needed."""

    passing = False

    def __init__(self, descriptor: int, stream: Readable, opener: Opener) -> None:
        self._descriptor, self._opener = descriptor, opener
        self._members = Members()
        total = os.fstat(descriptor).st_size
        for member in TarStream(stream, seekable=True):
            if member.kind == FILE and member.offset + member.size > total:
                raise ArchiveError("the archive is truncated", hint="it ends in the middle of a member")
            self._members.add(member)

    def has(self, name: str) -> bool:
        """Tell whether there is a file of this name."""
        return self._members.find(name) is not None

    def document(self, name: str) -> bytes:
        """Return a small file."""
        member = self._members.need(name)
        check_size(name, member.size)
        return b"".join(pieces(self._descriptor, member.offset, member.size))

    def size(self, name: str) -> int:
        """Return the size of a file."""
        return self._members.need(name).size

    def layer(
        self, name: str, descriptor: Descriptor | None, diff_id: Digest | None, advance: Advance
    ) -> LayerInfo:
        """Read a layer into the store."""
        member = self._members.need(name)
        with self._opener(descriptor, diff_id) as sink:
            return pour(
                pieces(self._descriptor, member.offset + sink.offset, member.size - sink.offset),
                sink,
                advance,
            )


class PassingTar:
    """A tar that passes by once: everything is taken as it comes."""

    passing = True

    def __init__(self, stream: Readable, opener: Opener, advance: Advance) -> None:
        self._members = Members()
        self._documents: dict[str, bytes] = {}
        self._layers: dict[str, LayerInfo | LaminaError] = {}
        self._room = MOST_DOCUMENTS
        archive = TarStream(stream)
        for member in archive:
            self._members.add(member)
            if member.kind == FILE:
                self._take(archive, member, opener, advance)
        archive.drain()

    def _take(self, archive: TarStream, member: Member, opener: Opener, advance: Advance) -> None:
        head = archive.read(LONGEST_SNIFF)
        while len(head) < min(member.size, LONGEST_SNIFF):
            head += archive.read(LONGEST_SNIFF - len(head))
        if not looks_like_layer(head):
            if member.size <= LARGEST_DOCUMENT:
                self._room -= member.size
                if self._room < 0:
                    raise ArchiveError("the archive has too many documents")
                self._documents[member.name] = head + b"".join(iter(lambda: archive.read(PIECE), b""))
            return
        descriptor = _said_by_name(member, head)

        def data() -> Iterator[bytes]:
            yield head
            yield from iter(lambda: archive.read(PIECE), b"")

        try:
            with opener(descriptor, None) as sink:
                self._layers[member.name] = pour(_skipped(data(), sink.offset), sink, advance)
        except LaminaError as error:
            if isinstance(error, ArchiveError):
                raise
            self._layers[member.name] = error  # perhaps nobody needs it

    def has(self, name: str) -> bool:
        """Tell whether there is a file of this name."""
        return self._members.find(name) is not None

    def document(self, name: str) -> bytes:
        """Return a small file."""
        member = self._members.need(name)
        if member.name not in self._documents:
            raise ArchiveError(f"the archive's {name!r} is not a document")
        return self._documents[member.name]

    def size(self, name: str) -> int:
        """Return the size of a file."""
        return self._members.need(name).size

    def layer(
        self,
        name: str,
        descriptor: Descriptor | None,  # noqa: ARG002 - was not known when it passed by
        diff_id: Digest | None,  # noqa: ARG002
        advance: Advance,  # noqa: ARG002
    ) -> LayerInfo:
        """Return what was made of a layer when it passed by."""
        member = self._members.need(name)
        found = self._layers.get(member.name)
        if found is None:
            raise ArchiveError(f"the archive's {name!r} is not a layer")
        if isinstance(found, LaminaError):
            raise found
        return found


def looks_like_layer(head: bytes) -> bool:
    """Tell a tar, compressed or not, from a document by its first block."""
    return detect(head) != "none" or head[257:262] == b"ustar" or (
        len(head) == LONGEST_SNIFF and not head.strip(b"\0")
    ) or _is_old_tar(head)  # fmt: skip


def _is_old_tar(head: bytes) -> bool:
    """Tell a header of before ustar by its checksum."""
    if len(head) < LONGEST_SNIFF:
        return False
    digits = head[148:156].strip(b"\0 ")
    return (
        bool(digits)
        and not digits.strip(b"01234567")
        and int(digits, 8) == sum(head[:148]) + 256 + sum(head[156:])
    )


def _said_by_name(member: Member, head: bytes) -> Descriptor | None:
    """Return what a blob's name in a layout says of it."""
    parts = member.name.split("/")
    if len(parts) != 3 or parts[0] != "blobs":
        return None
    try:
        digest = Digest.parse(f"{parts[1]}:{parts[2]}")
    except LaminaError:
        return None
    return Descriptor(media.layer_type(detect(head)), digest, member.size)


def check_size(name: str, size: int) -> None:
    """Refuse what is too large for a document."""
    if size > LARGEST_DOCUMENT:
        raise ArchiveError(f"{name!r} has {size} bytes, more than the limit of {LARGEST_DOCUMENT}")


def pieces(descriptor: int, offset: int, size: int) -> Iterator[bytes]:
    """Yield a range of a file."""
    while size > 0:
        data = os.pread(descriptor, min(size, PIECE), offset)
        if not data:
            raise ArchiveError("the archive is truncated")
        yield data
        offset += len(data)
        size -= len(data)


def _skipped(data: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Drop the first `count` bytes, which the sink has from an earlier attempt."""
    for piece in data:
        if count >= len(piece):
            count -= len(piece)
        else:
            yield piece[count:]
            count = 0


def pour(data: Iterator[bytes], sink: Sink, advance: Advance) -> LayerInfo:
    """Give a layer to the store."""
    for piece in data:
        sink.write(piece)
        advance(len(piece))
    return sink.commit()
