"""Streams of any compression become the bytes of the tar, a bounded piece at a time.

Theory.  What a stream is, its first bytes say; media types lie too often to be followed, and the
digest vouches for the bytes anyway.  A decompressor is asked for at most PIECE bytes at once, so a
bomb costs time, never memory.  Streams may consist of several parts: gzip members (pigz, eStargz),
zstd frames and skippable frames (zstd:chunked), xz and bzip2 streams.  Bytes after the last gzip
member that are no member are passed over as gzip(1) does; elsewhere only zeros are.
"""

from __future__ import annotations

from _struct import Struct

from lamina_runtime.layer.errors import CorruptLayerError, LayerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    class Decompressor(Protocol):
        """Takes a stream in any pieces."""

        def feed(self, data: bytes) -> Iterator[bytes]:
            """Yield what `data` decompresses to, in pieces of at most PIECE bytes."""

        def finish(self) -> None:
            """Refuse a stream that ended too early."""


PIECE = 1 << 20
STEP = 1 << 18  # of input at once: what follows the end of a part is copied, so this times their number
HEAD = 6  # bytes that tell the forms apart
XZ_MEMORY = 1 << 27  # the strongest preset needs 65 MiB
ZSTD_WINDOW_LOG = 27  # 128 MiB, as zstd(1) allows without being asked

_MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "xz": b"\xfd7zXZ\x00", "bzip2": b"BZh"}
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_SKIPPABLE_HEAD = Struct("<II")


def detect(head: bytes) -> str:
    """Name the compression of a stream by its first bytes."""
    for name, magic in _MAGIC.items():
        if head.startswith(magic):
            return name
    if len(head) >= 4 and int.from_bytes(head[:4], "little") in _SKIPPABLE:
        return "zstd"
    return "none"


def decompressor(compression: str) -> Decompressor:
    """Return a fresh decompressor; what none is, is passed through."""
    match compression:
        case "none":
            return _Plain()
        case "gzip":
            return _Parts("gzip", _gzip, _next_gzip)
        case "zstd":
            return _Parts("zstd", _zstd, _next_zstd)
        case "xz":
            return _Parts("xz", _xz, _next_xz)
        case "bzip2":
            return _Parts("bzip2", _bzip2, _next_bzip2)
    raise LayerError(f"layers compressed with {compression} are not supported")


class _Plain:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        pass


class _Part:
    """One member, frame or stream; all libraries but zlib's kin have the same interface."""

    def __init__(self, engine: Any, failure: Any, name: str) -> None:
        self._engine, self._failure, self._name = engine, failure, name

    def step(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """Return a piece, what is left of `data`, and whether to go on at once."""
        try:
            piece: bytes = self._engine.decompress(data, PIECE)
        except self._failure as exc:
            raise CorruptLayerError(f"layer: damaged {self._name} stream: {exc}") from None
        if self._engine.eof:
            return piece, b"", False
        if hasattr(self._engine, "unconsumed_tail"):
            rest: bytes = self._engine.unconsumed_tail
            return piece, rest, bool(rest) or len(piece) == PIECE
        return piece, b"", not self._engine.needs_input

    @property
    def ended(self) -> bool:
        """Whether the part is complete."""
        return bool(self._engine.eof)

    @property
    def unused(self) -> bytes:
        """What of the last input follows the part."""
        rest: bytes = self._engine.unused_data
        return rest


def _gzip() -> _Part:
    from isal import isal_zlib

    return _Part(isal_zlib.decompressobj(31), isal_zlib.error, "gzip")


def _zstd() -> _Part:
    from backports import zstd

    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}
    return _Part(zstd.ZstdDecompressor(options=options), zstd.ZstdError, "zstd")


def _xz() -> _Part:
    import lzma

    return _Part(lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY), lzma.LZMAError, "xz")


def _bzip2() -> _Part:
    import bz2

    return _Part(bz2.BZ2Decompressor(), OSError, "bzip2")


class _End(Exception):
    """What follows is not ours."""


# Each of these looks at what follows a part: how many bytes to skip to the next, None for "more
# bytes are needed to say", or _End.
def _next_gzip(data: bytes) -> int | None:
    if len(data) < 2:
        return None
    if data.startswith(_MAGIC["gzip"]):
        return 0
    raise _End


def _next_zstd(data: bytes) -> int | None:
    if len(data) < 4:
        return None
    if data.startswith(_MAGIC["zstd"]):
        return 0
    if int.from_bytes(data[:4], "little") not in _SKIPPABLE:
        return _zeros(data)
    if len(data) < _SKIPPABLE_HEAD.size:
        return None
    return _SKIPPABLE_HEAD.size + int(_SKIPPABLE_HEAD.unpack_from(data)[1])


def _next_xz(data: bytes) -> int | None:
    if len(data) < HEAD:
        return None
    return 0 if data.startswith(_MAGIC["xz"]) else _zeros(data)


def _next_bzip2(data: bytes) -> int | None:
    if len(data) < 3:
        return None
    return 0 if data.startswith(_MAGIC["bzip2"]) else _zeros(data)


def _zeros(data: bytes) -> int:
    count = len(data) - len(data.lstrip(b"\0"))
    if count == 0:
        raise CorruptLayerError("layer: something else follows its compressed stream")
    return count


class _Parts:
    """A stream of one or more parts, each with a decompressor of its own."""

    def __init__(self, name: str, start: Callable[[], _Part], follow: Callable[[bytes], int | None]) -> None:
        self._name, self._start, self._follow = name, start, follow
        self._part: _Part | None = None  # None between parts
        self._rest = b""  # between parts: too short to say what it is
        self._skip = 0
        self._ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), STEP):
            yield from self._feed(self._rest + data[start : start + STEP])

    def _feed(self, data: bytes) -> Iterator[bytes]:
        self._rest = b""
        while data and not self._ended:
            if self._part is None:
                data = self._between(data)
                continue
            more = True
            while more:
                piece, data, more = self._part.step(data)
                if piece:
                    yield piece
            if self._part.ended:
                data = self._part.unused
                self._part = None

    def _between(self, data: bytes) -> bytes:
        if self._skip == 0:
            try:
                skip = self._follow(data)
            except _End:
                self._ended = True
                return b""
            if skip is None:
                self._rest = data
                return b""
            if skip == 0:
                self._part = self._start()
                return data
            self._skip = skip
        passed = min(self._skip, len(data))
        self._skip -= passed
        return data[passed:]

    def finish(self) -> None:
        if self._part is not None or self._skip or self._rest.strip(b"\0"):
            raise CorruptLayerError(f"layer: its {self._name} stream is cut off")
