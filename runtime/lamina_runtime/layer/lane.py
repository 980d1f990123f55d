"""The threads of one intake, or their work in one thread for what is small.

    put() ─► blob: digest, file
        └──► inflate ─► diff: diffID
                   └──► tar: index, sums, file ─► sync

A stream that is its own tar skips the first two.
"""

from __future__ import annotations

import os

import xxhash

from lamina_runtime.layer import decompress
from lamina_runtime.layer.output import Output
from lamina_runtime.layer.stages import Direct, Failure, Threaded
from lamina_runtime.layer.sums import Summer
from lamina_runtime.oci.digest import Digest, hasher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from lamina_runtime.layer.stages import Stage

    class Scanner(Protocol):
        """What makes the index: see layer.scan."""

        @property
        def entries(self) -> int:
            """How many entries the index has, after finish()."""

        @property
        def file_size(self) -> int:
            """The sum of the sizes of regular files, after finish()."""

        def feed(self, data: bytes) -> None:
            """Take the next bytes of the tar."""

        def finish(self) -> bytes:
            """Return the index."""


GATHER = 256 << 10  # small pieces are joined up to this before a thread is bothered with them
SYNC_EVERY = 64 << 20  # bytes after which the disk is told to begin


class TarSink:
    """What happens to the bytes of the tar."""

    def __init__(self, fd: int, scanner: Scanner, guard: Callable[[int], None]) -> None:
        self.output = Output(fd)
        self.summer = Summer()
        self.index = b""
        self._scanner, self._guard = scanner, guard
        self._synced = 0
        self.sync: Stage | None = None  # who tells the disk to begin, where there is much

    def write(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._guard(self.output.offset + len(piece))
        self._scanner.feed(piece)
        self.summer.update(piece)
        self.output.write(piece)
        if self.sync is not None and self.output.offset - self._synced >= SYNC_EVERY:
            self._synced = self.output.offset
            self.sync.put(b"")

    def synchronise(self, _piece: bytes) -> None:
        """Tell the disk to begin, and wait for it."""
        os.fdatasync(self.output.fd)

    def finish(self) -> None:
        """Take note that the tar has ended."""
        self.output.end()
        self.index = self._scanner.finish()


class BlobSink:
    """What happens to the bytes as received, when they are not the tar."""

    def __init__(self, fd: int | None, algorithm: str) -> None:
        self.output = None if fd is None else Output(fd)
        self.hasher = hasher(algorithm)
        self.sum = xxhash.xxh3_128()

    def write(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.hasher.update(piece)
        self.sum.update(piece)
        if self.output is not None:
            self.output.write(piece)


class Inflater:
    """Decompresses and hands on pieces of a good size."""

    def __init__(self, compression: str, outlets: tuple[Stage, ...]) -> None:
        self._decompressor = decompress.decompressor(compression)
        self._outlets = outlets
        self._pieces: list[bytes] = []
        self._gathered = 0

    def write(self, data: bytes) -> None:
        """Take the next compressed bytes."""
        for piece in self._decompressor.feed(data):
            self._pieces.append(piece)
            self._gathered += len(piece)
            if self._gathered >= GATHER:
                self._emit()

    def finish(self) -> None:
        """Take note that the stream has ended."""
        self._decompressor.finish()
        self._emit()

    def _emit(self) -> None:
        piece = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._gathered = 0
        for stage in self._outlets:
            stage.put(piece)


class Lane:
    """The row, from the first piece to the end; `small` if that is all of it."""

    def __init__(
        self,
        compression: str,
        files: tuple[int | None, int],
        sink: TarSink,
        algorithms: tuple[str, str],
        failure: Failure,
        *,
        small: bool,
    ) -> None:
        stage: type[Direct | Threaded] = Direct if small else Threaded
        self.compression, self.sink = compression, sink
        self._algorithms, self._failure = algorithms, failure
        self._diff = hasher(algorithms[1], little=small and compression == "none")
        diff: Stage = stage("diff", self._diff.update, failure)
        tar: Stage = stage("tar", sink.write, failure, last=sink.finish)
        self._stages = [diff, tar]
        if not small:
            sink.sync = Threaded("sync", sink.synchronise, failure)
            self._stages.append(sink.sync)
        self.blob: BlobSink | None = None
        if files[0] == files[1]:
            self._inlets = self._keeping = [diff, tar]
            return
        self.blob = BlobSink(files[0], algorithms[0])
        inflater = Inflater(compression, (diff, tar))
        blob: Stage = stage("blob", self.blob.write, failure)
        inflate: Stage = stage("inflate", inflater.write, failure, last=inflater.finish)
        self._inlets = [blob, inflate]
        self._stages = [blob, inflate, *self._stages]
        self._keeping = [blob]

    @property
    def kept(self) -> Output | None:
        """The file that holds the bytes as received."""
        return self.sink.output if self.blob is None else self.blob.output

    def put(self, piece: bytes) -> None:
        """Take the next bytes as received."""
        for stage in self._inlets:
            stage.put(piece)

    def end(self) -> None:
        """Wait for everything; each thread ends after those that feed it."""
        for stage in self._stages:
            stage.join()

    def abandon(self) -> None:
        """Write what was received, drop all other work, end the threads."""
        for stage in self._keeping:
            stage.join()
        self._failure.set(InterruptedError("abandoned"))
        for stage in self._stages:
            if stage not in self._keeping:
                stage.join()

    @property
    def digests(self) -> tuple[Digest, Digest]:
        """The digests of the blob and of the tar, once all is done."""
        diff_id = Digest(self._algorithms[1], self._diff.hexdigest())
        if self.blob is None:
            return diff_id, diff_id
        return Digest(self._algorithms[0], self.blob.hasher.hexdigest()), diff_id
