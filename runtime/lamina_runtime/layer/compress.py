"""Tars become blobs, and the same tar becomes the same blob each time.

Theory.  The bytes of a compressed stream depend on the library, its version, the level and how the
input is cut.  The cut is fixed here, threads only share the work out, and the rest is the recipe,
which is kept with the blob's digest: a later making with the same recipe must give the same digest.

gzip is made as pigz makes it: one member of independent blocks, each of which knows the last 32 KiB
before it.  zlib rather than isal: isal's output depends on the processor.
"""

import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from lamina_runtime.layer.errors import LayerError

BLOCK = 1 << 20
LEVEL = {"gzip": 6, "zstd": 3}
_WINDOW = 32 << 10
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time, no system
_GZIP_TAIL = struct.Struct("<II")


def recipe(compression: str) -> str:
    """Say how compress() makes a compression."""
    if compression == "gzip":
        return f"gzip: zlib {zlib.ZLIB_RUNTIME_VERSION}, level {LEVEL['gzip']}, blocks of {BLOCK}"
    if compression == "zstd":
        from backports import zstd

        return f"zstd: libzstd {zstd.zstd_version}, level {LEVEL['zstd']}"
    raise LayerError(f"layers are not made with compression {compression}", hint="gzip, zstd and none are")


def compress(file: BinaryIO, size: int, compression: str) -> Iterator[bytes]:
    """Yield the blob of a tar of `size` bytes."""
    recipe(compression)
    return _gzip(file) if compression == "gzip" else _zstd(file, size)


def _gzip(file: BinaryIO) -> Iterator[bytes]:
    yield _GZIP_HEAD
    workers = len(os.sched_getaffinity(0))
    running: deque[Future[bytes]] = deque()
    check = total = 0
    before = b""
    with ThreadPoolExecutor(workers) as pool:
        block = file.read(BLOCK)
        while True:
            following = file.read(BLOCK)
            running.append(pool.submit(_deflate, block, before, last=not following))
            check, total = zlib.crc32(block, check), total + len(block)
            if len(running) > 2 * workers:
                yield running.popleft().result()
            if not following:
                break
            before, block = block[-_WINDOW:], following
        while running:
            yield running.popleft().result()
    yield _GZIP_TAIL.pack(check, total & 0xFFFFFFFF)


def _deflate(block: bytes, before: bytes, *, last: bool) -> bytes:
    engine = zlib.compressobj(LEVEL["gzip"], zlib.DEFLATED, -15, 8, zlib.Z_DEFAULT_STRATEGY, before)
    return engine.compress(block) + engine.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)


def _zstd(file: BinaryIO, size: int) -> Iterator[bytes]:
    from backports import zstd

    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: LEVEL["zstd"],
        zstd.CompressionParameter.checksum_flag: 1,
    }
    engine = zstd.ZstdCompressor(options=options)
    engine.set_pledged_input_size(size)
    while block := file.read(BLOCK):
        if made := engine.compress(block):
            yield made
    yield engine.flush()
