"""What a FUSE front end may ask of a core: one function a request.

Results are the C structs themselves (`Entry`, `Attr`: attribute access, owned by Python), so
that a request costs no conversion nobody asked for.  Names are bytes without NUL.

A caller without `may_block` gets WouldCopy instead of a long copy-up; repeat with one that
has it, from a thread.
"""

from __future__ import annotations

from lamina_native._core import ffi, lib
from lamina_native.core import Core, no_nul
from lamina_native.errors import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NewType

    from lamina_native._core import Attr as Attr
    from lamina_native._core import Caller as Caller
    from lamina_native._core import Entry as Entry
    from lamina_native._core import SetAttr as SetAttr
    from lamina_native._core import StatVfs as StatVfs

    NodeId = NewType("NodeId", int)
    Fh = NewType("Fh", int)
else:
    NodeId = Fh = int  # typing would be most of what importing this costs

ROOT = NodeId(lib.LAM_ROOT_ID)
NO_HANDLE = Fh(0)

MAX_XATTR = 65536  # XATTR_SIZE_MAX and XATTR_LIST_MAX of the kernel
MAX_TARGET = 4096  # PATH_MAX
DIR_CHUNK = 65536


class DirEntry:
    """One name of a merged directory; `entry` holds a lookup if its nodeid is not 0."""

    __slots__ = ("cookie", "entry", "name", "type")

    def __init__(self, name: bytes, cookie: int, type: int, entry: Entry) -> None:  # noqa: A002 - the C name
        self.name, self.cookie, self.type, self.entry = name, cookie, type, entry


def make_caller(*, uid: int, gid: int, pid: int, umask: int = 0, may_block: bool = False) -> Caller:
    """Describe who asks, and whether the calling thread may wait for a long copy."""
    caller: Caller = ffi.new("struct lam_caller *")
    caller.uid, caller.gid, caller.pid, caller.umask = uid, gid, pid, umask
    caller.flags = lib.LAM_CALLER_MAY_BLOCK if may_block else 0
    return caller


def lookup(core: Core, caller: Caller, parent: NodeId, name: bytes) -> Entry:
    """Find a name and take one lookup on its node."""
    entry: Entry = ffi.new("struct lam_entry *")
    check(lib.lam_lookup(core.handle, caller, parent, no_nul(name), entry), "lookup")
    return entry


def forget(core: Core, node: NodeId, count: int) -> None:
    """Give back `count` lookups."""
    lib.lam_forget(core.handle, node, count)


def mknod(core: Core, caller: Caller, parent: NodeId, name: bytes, *, mode: int, rdev: int) -> Entry:
    """Create a file, FIFO, socket or device node."""
    entry: Entry = ffi.new("struct lam_entry *")
    check(lib.lam_mknod(core.handle, caller, parent, no_nul(name), mode, rdev, entry), "mknod")
    return entry


def mkdir(core: Core, caller: Caller, parent: NodeId, name: bytes, *, mode: int) -> Entry:
    """Create a directory."""
    entry: Entry = ffi.new("struct lam_entry *")
    check(lib.lam_mkdir(core.handle, caller, parent, no_nul(name), mode, entry), "mkdir")
    return entry


def symlink(core: Core, caller: Caller, parent: NodeId, name: bytes, *, target: bytes) -> Entry:
    """Create a symbolic link."""
    entry: Entry = ffi.new("struct lam_entry *")
    check(lib.lam_symlink(core.handle, caller, parent, no_nul(name), no_nul(target), entry), "symlink")
    return entry


def link(core: Core, caller: Caller, node: NodeId, *, parent: NodeId, name: bytes) -> Entry:
    """Give `node` another name."""
    entry: Entry = ffi.new("struct lam_entry *")
    check(lib.lam_link(core.handle, caller, node, parent, no_nul(name), entry), "link")
    return entry


def unlink(core: Core, caller: Caller, parent: NodeId, name: bytes) -> None:
    """Remove a name that is no directory."""
    check(lib.lam_unlink(core.handle, caller, parent, no_nul(name)), "unlink")


def rmdir(core: Core, caller: Caller, parent: NodeId, name: bytes) -> None:
    """Remove a directory that looks empty in the merged view."""
    check(lib.lam_rmdir(core.handle, caller, parent, no_nul(name)), "rmdir")


def rename(
    core: Core, caller: Caller, source: tuple[NodeId, bytes], target: tuple[NodeId, bytes], *, flags: int
) -> None:
    """Rename (parent, name) to (parent, name); `flags` as renameat2(2)."""
    old, new = no_nul(source[1]), no_nul(target[1])
    check(lib.lam_rename(core.handle, caller, source[0], old, target[0], new, flags), "rename")


def readlink(core: Core, node: NodeId) -> bytes:
    """Return a symbolic link's target."""
    buffer = bytearray(MAX_TARGET)
    length = check(lib.lam_readlink(core.handle, node, ffi.from_buffer(buffer), MAX_TARGET), "readlink")
    return bytes(buffer[:length])


def getattr_(core: Core, node: NodeId, fh: Fh = NO_HANDLE) -> Attr:
    """Return a node's attributes."""
    attr: Attr = ffi.new("struct lam_attr *")
    check(lib.lam_getattr(core.handle, node, fh, attr), "getattr")
    return attr


def setattr_(core: Core, caller: Caller, node: NodeId, fh: Fh, change: SetAttr) -> Attr:
    """Change what `change.valid` names; return the attributes afterwards."""
    attr: Attr = ffi.new("struct lam_attr *")
    check(lib.lam_setattr(core.handle, caller, node, fh, change, attr), "setattr")
    return attr


def make_setattr(
    *,
    mode: int | None = None,
    uid: int | None = None,
    gid: int | None = None,
    size: int | None = None,
    atime_ns: int | None = None,
    mtime_ns: int | None = None,
    kill_suidgid: bool = False,
) -> SetAttr:
    """Describe a change; None leaves a field alone."""
    change: SetAttr = ffi.new("struct lam_setattr *")
    valid = lib.LAM_SET_KILL_SUIDGID if kill_suidgid else 0
    for field, value, bit in (
        ("mode", mode, lib.LAM_SET_MODE),
        ("uid", uid, lib.LAM_SET_UID),
        ("gid", gid, lib.LAM_SET_GID),
        ("size", size, lib.LAM_SET_SIZE),
    ):
        if value is not None:
            setattr(change, field, value)
            valid |= bit
    if atime_ns is not None:
        change.atime, change.atimensec = divmod(atime_ns, 10**9)
        valid |= lib.LAM_SET_ATIME
    if mtime_ns is not None:
        change.mtime, change.mtimensec = divmod(mtime_ns, 10**9)
        valid |= lib.LAM_SET_MTIME
    change.valid = valid
    return change


def statfs(core: Core, node: NodeId) -> StatVfs:
    """Return the numbers of the file system that takes new data."""
    out: StatVfs = ffi.new("struct statvfs *")
    check(lib.lam_statfs(core.handle, node, out), "statfs")
    return out


def getxattr(core: Core, node: NodeId, name: bytes) -> bytes:
    """Return an extended attribute's value."""
    buffer = bytearray(MAX_XATTR)
    result = lib.lam_getxattr(core.handle, node, no_nul(name), ffi.from_buffer(buffer), MAX_XATTR)
    return bytes(buffer[: check(result, "getxattr")])


def listxattr(core: Core, caller: Caller, node: NodeId) -> list[bytes]:
    """Return the names of a node's extended attributes."""
    buffer = bytearray(MAX_XATTR)
    result = lib.lam_listxattr(core.handle, caller, node, ffi.from_buffer(buffer), MAX_XATTR)
    length = check(result, "listxattr")
    return [name for name in bytes(buffer[:length]).split(b"\0") if name]


def setxattr(
    core: Core,
    caller: Caller,
    node: NodeId,
    name: bytes,
    value: bytes,
    *,
    flags: int = 0,
    kill_sgid: bool = False,
) -> None:
    """Set an extended attribute with `flags` of setxattr(2)."""
    result = lib.lam_setxattr(core.handle, caller, node, no_nul(name), value, len(value), flags, kill_sgid)
    check(result, "setxattr")


def removexattr(core: Core, caller: Caller, node: NodeId, name: bytes) -> None:
    """Remove an extended attribute."""
    check(lib.lam_removexattr(core.handle, caller, node, no_nul(name)), "removexattr")


def open_(core: Core, caller: Caller, node: NodeId, *, flags: int) -> Fh:
    """Open a regular file; copies up if `flags` ask for writing."""
    fh = ffi.new("uint64_t *")
    check(lib.lam_open(core.handle, caller, node, flags, fh), "open")
    return Fh(fh[0])


def create(
    core: Core, caller: Caller, parent: NodeId, name: bytes, *, mode: int, flags: int
) -> tuple[Entry, Fh]:
    """Create and open a regular file; EEXIST if the name is there."""
    entry, fh = ffi.new("struct lam_entry *"), ffi.new("uint64_t *")
    check(lib.lam_create(core.handle, caller, parent, no_nul(name), mode, flags, entry, fh), "create")
    return entry, Fh(fh[0])


def tmpfile(core: Core, caller: Caller, parent: NodeId, *, mode: int, flags: int) -> tuple[Entry, Fh]:
    """Create and open a regular file without a name."""
    entry, fh = ffi.new("struct lam_entry *"), ffi.new("uint64_t *")
    check(lib.lam_tmpfile(core.handle, caller, parent, mode, flags, entry, fh), "tmpfile")
    return entry, Fh(fh[0])


def release(core: Core, fh: Fh) -> None:
    """Close a handle."""
    lib.lam_release(core.handle, fh)


def read(core: Core, caller: Caller, node: NodeId, fh: Fh, *, size: int, offset: int) -> memoryview:
    """Return up to `size` bytes at `offset`."""
    buffer = bytearray(size)
    result = lib.lam_read(core.handle, caller, node, fh, ffi.from_buffer(buffer), size, offset)
    return memoryview(buffer)[: check(result, "read")]


def write(
    core: Core, caller: Caller, node: NodeId, fh: Fh, data: bytes, *, offset: int, kill_suidgid: bool = False
) -> int:
    """Write at `offset`; return how much was taken."""
    source = ffi.from_buffer(data)
    result = lib.lam_write(core.handle, caller, node, fh, source, len(data), offset, kill_suidgid)
    return check(result, "write")


def fsync(core: Core, node: NodeId, fh: Fh = NO_HANDLE, *, datasync: bool) -> None:
    """Make a file or directory durable, as the mount's fsync= says."""
    check(lib.lam_fsync(core.handle, node, fh, datasync), "fsync")


def readdir(core: Core, caller: Caller, node: NodeId, *, cookie: int, plus: bool) -> Iterator[DirEntry]:
    """Yield one batch of a merged directory from `cookie` on; nothing at the end.

    With `plus` every entry but "." and ".." holds a lookup, those too that the caller drops:
    give them back with forget().
    """
    buffer = bytearray(DIR_CHUNK)
    area = ffi.from_buffer(buffer)
    length = check(lib.lam_readdir_pack(core.handle, caller, node, cookie, plus, area, DIR_CHUNK), "readdir")
    head = ffi.sizeof("struct lam_dirent")
    position = 0
    while position < length:
        record = ffi.cast("struct lam_dirent *", area + position)
        start = position + head
        entry = ffi.new("struct lam_entry *", record.entry)
        name = bytes(buffer[start : start + record.namelen])
        yield DirEntry(name, record.cookie, record.type, entry)
        position = start + (record.namelen + 7) // 8 * 8


def why(core: Core, node: NodeId) -> str:
    """Say on which layers a node lies, one line a layer."""
    size = 65536
    while True:
        buffer = bytearray(size)
        result = lib.lam_why(core.handle, node, ffi.from_buffer(buffer), size)
        if result != -34 or size > 1 << 26:  # ERANGE; 64 MiB is far beyond any stack of layers
            return bytes(buffer[: check(result, "why")]).decode("utf-8", "backslashreplace")
        size *= 4
