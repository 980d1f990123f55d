"""Intake: a blob as it arrives becomes blob digest, tar, diffID, index and sums, in one pass.

A blob that is not compressed is its tar: it is hashed once and written once.  What was received
before an interruption is read back from its file and goes the same way, but is not written again.
Nothing here knows where files end up: it writes to descriptors that it is given.
"""

from __future__ import annotations

from lamina_runtime.layer import decompress
from lamina_runtime.layer.errors import TooLargeError
from lamina_runtime.layer.lane import GATHER, Lane, TarSink
from lamina_runtime.layer.limits import DEFAULT, Limits
from lamina_runtime.layer.stages import Failure
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lamina_runtime.layer.lane import Scanner
    from lamina_runtime.oci.digest import Digest

    OpenFiles = Callable[[str], tuple[int | None, int]]


@value
class Taken:
    """What an intake found out."""

    compression: str
    blob: Digest
    blob_size: int
    blob_sum: str  # XXH3-128; empty where the blob is the tar
    diff_id: Digest
    tar_size: int
    entries: int
    file_size: int
    index: bytes
    sums: bytes


class Intake:
    """One blob on its way in; belongs to one thread.

    `source` names it in errors.  As soon as the form of the stream is known, open_files(compression)
    is asked for the descriptors of the blob's file (None to keep none) and of the tar's; both are
    the same one for a stream that is its own tar.  Ends with finish() or abandon().
    """

    def __init__(
        self,
        source: str,
        open_files: OpenFiles,
        scanner: Scanner,
        *,
        algorithms: tuple[str, str] = ("sha256", "sha256"),
        limits: Limits = DEFAULT,
    ) -> None:
        self._source, self._open_files, self._limits = source, open_files, limits
        self._scanner, self._algorithms = scanner, algorithms
        self._failure = Failure()
        self._gathered = bytearray()
        self._stored = self._size = 0
        self._lane: Lane | None = None

    def write(self, data: bytes | memoryview, *, stored: bool = False) -> None:
        """Take the next bytes; `stored` ones are in the blob's file already and come first."""
        self._failure.check()
        if stored:
            self._stored += len(data)
        if not self._gathered and len(data) >= GATHER:
            self._put(bytes(data))
            return
        self._gathered += data
        if len(self._gathered) >= GATHER:
            self._flush()

    def _flush(self, *, small: bool = False) -> None:
        piece = bytes(self._gathered)
        self._gathered.clear()
        self._put(piece, small=small)

    def _put(self, piece: bytes, *, small: bool = False) -> None:
        lane = self._lane or self._start(piece, small=small)
        self._size += len(piece)
        if (kept := lane.kept) is not None:
            kept.stored = self._stored
        lane.put(piece)

    def _start(self, first: bytes, *, small: bool) -> Lane:
        compression = decompress.detect(first[: decompress.HEAD])
        files = self._open_files(compression)
        sink = TarSink(files[1], self._scanner, self._guard)
        self._lane = Lane(compression, files, sink, self._algorithms, self._failure, small=small)
        return self._lane

    def _guard(self, tar_size: int) -> None:
        if tar_size > self._limits.allowed(self._size):
            raise TooLargeError(self._source, size=tar_size, blob_size=self._size)

    def finish(self) -> Taken:
        """Wait for everything and return what was found; raises what failed."""
        if self._gathered or self._lane is None:
            self._flush(small=True)
        lane = self._lane
        assert lane is not None
        self._lane = None
        lane.end()
        self._failure.check()
        blob, diff_id = lane.digests
        return Taken(
            lane.compression,
            blob,
            self._size,
            lane.blob.sum.hexdigest() if lane.blob else "",
            diff_id,
            lane.sink.output.offset,
            self._scanner.entries,
            self._scanner.file_size,
            lane.sink.index,
            lane.sink.summer.finish(),
        )

    def abandon(self) -> None:
        """End the threads without a result; what arrived is in the blob's file afterwards."""
        try:
            if self._gathered and not self._failure:
                self._flush(small=True)
        finally:
            if self._lane is not None:
                self._lane.abandon()
                self._lane = None
