"""How much a layer may be."""

from __future__ import annotations

from lamina_runtime.value import value

GIB = 1 << 30


@value
class Limits:
    """What is refused.  A layer of zeros compresses a thousandfold with gzip, and without bound with zstd."""

    tar_size: int = 256 * GIB  # of one layer; EROFS with blocks of 512 bytes ends at 2 TiB
    ratio: int = 250  # of tar to blob, where the tar is larger than `free_size`; real layers reach 20
    free_size: int = 2 * GIB

    def allowed(self, blob_size: int) -> int:
        """Return how large the tar of a blob may be."""
        return min(self.tar_size, max(self.free_size, self.ratio * blob_size))


DEFAULT = Limits()
