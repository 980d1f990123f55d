"""Transfers under way: what has arrived of a blob stays, so that the next try goes on from there.

Theory.  `temporary/partial-ALGORITHM-HEX` holds the first bytes of a blob that is expected.  Whoever
writes to it has it locked.  Someone else who wants the same blob at the same time does not wait:
he gets a file of his own, which nobody goes on with.
"""

from __future__ import annotations

import fcntl
import os

from lamina_runtime import contexts
from lamina_runtime.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lamina_runtime.fspath import Path
    from lamina_runtime.oci.digest import Digest

PREFIX = "partial-"
PIECE = 1 << 20
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


class Partial:
    """An open file of received bytes."""

    def __init__(self, path: Path, fd: int, *, resumable: bool) -> None:
        self.path, self.fd, self._resumable = path, fd, resumable
        self.placed = False  # it has been given its place in the store
        self.refused = False  # what is there is no good

    @property
    def size(self) -> int:
        """How much is there."""
        return os.fstat(self.fd).st_size

    def pieces(self) -> Iterator[bytes]:
        """Yield what is there."""
        offset = 0
        while piece := os.pread(self.fd, PIECE, offset):
            yield piece
            offset += len(piece)

    def clear(self) -> None:
        """Throw away what is there."""
        os.ftruncate(self.fd, 0)

    def sync(self) -> None:
        """Bring it to the disk."""
        os.fsync(self.fd)

    def place_at(self, target: Path) -> None:
        """Give it its place in the store; it is on the disk already."""
        files.publish(self.path, target)
        self.placed = True

    def close(self) -> None:
        """Let go of it; another try goes on from it if that makes sense."""
        if not self.placed and (self.refused or not self._resumable or not self.size):
            files.remove(self.path)
        os.close(self.fd)


def open_partial(temporary: Path, digest: Digest | None, *, limit: int) -> Partial:
    """Open the file for a blob; more bytes than `limit` are not believed."""
    if digest is not None:
        path = temporary / f"{PREFIX}{digest.algorithm}-{digest.hex}"
        fd = os.open(path, _FLAGS, files.MODE)
        if _taken(fd, path):
            partial = Partial(path, fd, resumable=True)
            if partial.size > limit:
                partial.clear()
            return partial
        os.close(fd)
    path = files.temporary_name(temporary)
    fd = os.open(path, _FLAGS | os.O_EXCL, files.MODE)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return Partial(path, fd, resumable=False)


def _taken(fd: int, path: Path) -> bool:
    """Lock an open file and say whether it is ours and still has its name."""
    with contexts.suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), os.stat(path))
    return False
