"""Layer tars, written so that the same members give the same bytes.

PAX headers only where ustar's fields end.  No names of users, no time but that of the content: what
a file is decides its bytes, not who writes it, when, or how the directory happened to be ordered.
"""

from __future__ import annotations

import stat
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BLOCK = tarfile.BLOCKSIZE
ZEROS = bytes(1 << 16)
WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"

_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}


@dataclass(frozen=True, slots=True)
class Member:
    """What a header says.  `mode` has the type in it; of a file `size` bytes follow."""

    path: bytes
    mode: int
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    size: int = 0
    link: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[bytes, bytes] = field(default_factory=dict, hash=False)


class TarWriter:
    """Writes members one after the other; of each file all bytes before the next member."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write, self._position, self._left = write, 0, 0

    def add(self, member: Member) -> None:
        """Write a header; data() must bring what it promises."""
        kind = stat.S_IFMT(member.mode)
        info = tarfile.TarInfo(_text(member.path) or ".")
        info.type, info.mode = _TYPES[kind], stat.S_IMODE(member.mode)
        info.linkname = _text(member.link)
        info.devmajor, info.devminor = member.device
        info.size = member.size if kind == stat.S_IFREG else 0
        info.pax_headers = {
            f"SCHILY.xattr.{_text(name)}": _text(value) for name, value in sorted(member.xattrs.items())
        }
        self._header(info, member)
        self._left = info.size

    def add_link(self, member: Member, target: bytes) -> None:
        """Write one more name of a file that came before."""
        info = tarfile.TarInfo(_text(member.path))
        info.type, info.mode, info.linkname = tarfile.LNKTYPE, stat.S_IMODE(member.mode), _text(target)
        info.pax_headers = {}
        self._header(info, member)

    def hide(self, path: bytes) -> None:
        """Write a whiteout."""
        parent, _, name = path.rpartition(b"/")
        self._mark(_joined(parent, WHITEOUT + name))

    def hide_all(self, directory: bytes) -> None:
        """Say that nothing of a directory shines through."""
        self._mark(_joined(directory, OPAQUE))

    def data(self, data: bytes | memoryview) -> None:
        """Write the next bytes of the file."""
        if len(data) > self._left:
            raise ValueError("more data than the header says")
        self._put(bytes(data))
        self._left -= len(data)
        if not self._left:
            self._put(bytes(-self._position % BLOCK))

    def zeros(self, size: int) -> None:
        """Write a hole."""
        while size:
            piece = min(size, len(ZEROS))
            self.data(ZEROS[:piece])
            size -= piece

    def end(self) -> None:
        """Write the end."""
        self._put(bytes(2 * BLOCK))

    def _mark(self, path: bytes) -> None:
        info = tarfile.TarInfo(_text(path))
        info.mode = 0
        self._put(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))

    def _header(self, info: tarfile.TarInfo, member: Member) -> None:
        if self._left:
            raise ValueError("less data than the header says")
        info.uid, info.gid = member.uid, member.gid
        seconds, rest = divmod(member.mtime_ns, 10**9)
        info.mtime = max(seconds, 0)
        if rest or seconds < 0:
            info.pax_headers = {**info.pax_headers, "mtime": _seconds(seconds, rest)}
        self._put(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))

    def _put(self, data: bytes) -> None:
        if data:
            self._write(data)
            self._position += len(data)


def _seconds(seconds: int, nanoseconds: int) -> str:
    """Write a time as PAX does: a decimal number."""
    if seconds < 0 and nanoseconds:
        seconds, nanoseconds = seconds + 1, 10**9 - nanoseconds
        return f"-{-seconds}.{nanoseconds:09d}"
    return f"{seconds}.{nanoseconds:09d}" if nanoseconds else str(seconds)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _joined(parent: bytes, name: bytes) -> bytes:
    return parent + b"/" + name if parent else name
