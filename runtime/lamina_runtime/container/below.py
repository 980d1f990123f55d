"""The image below a container's upper: one name looked up at a time, never walked.

Theory.  The union core, opened over the image alone and not mounted, is a reader of it: it finds a
name by bisection in the image's directories and reads data where it lies in the layers' tars.
"""

from __future__ import annotations

import os
import stat

from lamina_native import verbs
from lamina_unionfs import options, session

from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from lamina_native.verbs import NodeId

PIECE = 1 << 20
DEEPEST = 2048
_US = verbs.make_caller(uid=0, gid=0, pid=0, may_block=True)


@value
class Found:
    """An object of the image."""

    node: NodeId
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int
    rdev: int
    links: int

    @property
    def is_directory(self) -> bool:
        """Whether it has names below it."""
        return stat.S_ISDIR(self.mode)


class Below:
    """An image, open for looking things up."""

    def __init__(self, settings: str) -> None:
        """Take the driver's options for the image: lowerdir=, devicedir=, squash."""
        self._core = session.open_core(options.parse([settings]))
        self.root = self._found(verbs.ROOT, verbs.getattr_(self._core, verbs.ROOT))

    def __enter__(self) -> Below:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._core.close()

    def child(self, parent: Found | None, name: bytes) -> Found | None:
        """Return what a directory has under a name."""
        if parent is None or not parent.is_directory or name.startswith(b".wh.") or len(name) > 255:
            return None
        try:
            entry = verbs.lookup(self._core, _US, parent.node, name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return self._found(verbs.NodeId(entry.nodeid), entry.attr) if entry.nodeid else None

    def find(self, path: bytes) -> Found | None:
        """Return what lies at a path from the root; no link is followed."""
        found: Found | None = self.root
        for name in path.split(b"/"):
            if name:
                found = self.child(found, name)
        return found

    def names(self, directory: Found | None) -> list[bytes]:
        """Return the names in a directory, sorted."""
        if directory is None or not directory.is_directory:
            return []
        found, cookie = [], 0
        while batch := list(verbs.readdir(self._core, _US, directory.node, cookie=cookie, plus=False)):
            cookie = batch[-1].cookie
            found += [entry.name for entry in batch if entry.name not in (b".", b"..")]
        return sorted(found)

    def link(self, found: Found) -> bytes:
        """Return what a symbolic link says."""
        return verbs.readlink(self._core, found.node) if stat.S_ISLNK(found.mode) else b""

    def attributes(self, found: Found, wanted: Callable[[bytes], bool]) -> dict[bytes, bytes]:
        """Return the extended attributes that are wanted."""
        names = verbs.listxattr(self._core, _US, found.node)
        return {name: verbs.getxattr(self._core, found.node, name) for name in names if wanted(name)}

    def data(self, found: Found) -> Iterator[bytes]:
        """Yield a file's bytes."""
        handle = verbs.open_(self._core, _US, found.node, flags=os.O_RDONLY)
        try:
            at = 0
            while at < found.size:
                size = min(PIECE, found.size - at)
                data = bytes(verbs.read(self._core, _US, found.node, handle, size=size, offset=at))
                if not data:
                    break
                yield data
                at += len(data)
        finally:
            verbs.release(self._core, handle)

    @staticmethod
    def _found(node: NodeId, attr: verbs.Attr) -> Found:
        mtime = attr.mtime * 10**9 + attr.mtimensec
        return Found(node, attr.mode, attr.uid, attr.gid, mtime, attr.size, attr.rdev, attr.nlink)
