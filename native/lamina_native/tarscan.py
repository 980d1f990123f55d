"""Scan a layer's tar into its index as it arrives, and read what the index's header says.

Apart from `image`, because whoever commits a small change needs this alone, and has a tenth of a
second.  docs/on-disk.md ("Layer index") has the format and the limits.
"""

from __future__ import annotations

from posix import strerror

from lamina_native._image import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap
    from types import TracebackType

    from lamina_native._image import CData


class LaminaTarError(ValueError):
    """A tar that is no layer: an errno, where its entry begins, one line for the user."""

    def __init__(self, code: int, offset: int, text: str) -> None:
        super().__init__(f"{text} (at byte {offset} of the tar)")
        self.code, self.offset, self.text = code, offset, text


class IndexDamaged(ValueError):
    """Not a layer index of a version that is known, or damaged."""


class TarScanner:
    """Scan a layer's tar as it arrives."""

    __slots__ = ("_handle",)

    def __init__(self) -> None:
        out = ffi.new("struct lam_tar **")
        _check_memory(lib.lam_tar_open(out))
        self._handle: CData = ffi.gc(out[0], lib.lam_tar_free)

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes, however many; raise LaminaTarError as soon as something is wrong."""
        buffer = ffi.from_buffer(data)
        self._check(lib.lam_tar_feed(self._handle, buffer, len(buffer)))

    def finish(self) -> bytes:
        """Return the index; the stream has ended.  Raise LaminaTarError if it ended too early."""
        index, size = ffi.new("const void **"), ffi.new("size_t *")
        self._check(lib.lam_tar_finish(self._handle, index, size))
        return bytes(ffi.buffer(index[0], size[0]))

    def close(self) -> None:
        """Give back the memory now rather than with the object."""
        ffi.release(self._handle)

    def __enter__(self) -> TarScanner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, result: int) -> None:
        if result < 0:
            offset = ffi.new("uint64_t *")
            text = ffi.string(lib.lam_tar_why(self._handle, offset))
            raise LaminaTarError(-result, offset[0], text.decode("utf-8", "backslashreplace"))


class IndexInfo:
    """What the header of an index says."""

    __slots__ = ("entries", "file_size", "tar_size", "whiteouts")

    def __init__(self, entries: int, whiteouts: int, tar_size: int, file_size: int) -> None:
        self.entries, self.whiteouts = entries, whiteouts
        self.tar_size, self.file_size = tar_size, file_size


def index_info(index: bytes | mmap.mmap) -> IndexInfo:
    """Check an index's header and checksum; raise IndexDamaged."""
    handle = open_index(index)
    info = ffi.new("struct lam_index_info *")
    lib.lam_index_info(handle, info)
    ffi.release(handle)
    return IndexInfo(info.entries, info.whiteouts, info.tar_size, info.file_size)


def open_index(index: bytes | mmap.mmap) -> CData:
    """Return a reader of an index in C; raise IndexDamaged."""
    out = ffi.new("struct lam_index **")
    buffer = ffi.from_buffer(index)
    result = lib.lam_index_open(buffer, len(buffer), out)
    if result < 0:
        raise IndexDamaged(f"not a layer index: {strerror(-result)}")
    return ffi.gc(out[0], lib.lam_index_free)


def _check_memory(result: int) -> None:
    if result < 0:
        raise MemoryError
