"""Attributes and extended attributes.

pyfuse3 has one field for two identities, nodeid and st_ino: see inodes.py.
"""

from __future__ import annotations

import errno
import stat
from typing import TYPE_CHECKING

import pyfuse3
from lamina_native import verbs

from lamina_unionfs import control
from lamina_unionfs.filesystem import caller_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamina_native.verbs import Attr, Entry, Fh, NodeId

    from lamina_unionfs.filesystem import Filesystem

NANO = 10**9
ACCESS_ACL = b"system.posix_acl_access"


def fill(reply: pyfuse3.EntryAttributes, attr: Attr) -> pyfuse3.EntryAttributes:
    """Copy what both kinds of replies have in common."""
    reply.st_mode = pyfuse3.ModeT(attr.mode)
    reply.st_nlink = attr.nlink
    reply.st_uid = attr.uid
    reply.st_gid = attr.gid
    reply.st_rdev = attr.rdev
    reply.st_size = attr.size
    reply.st_blocks = attr.blocks
    reply.st_blksize = attr.blksize
    reply.st_atime_ns = attr.atime * NANO + attr.atimensec
    reply.st_mtime_ns = attr.mtime * NANO + attr.mtimensec
    reply.st_ctime_ns = attr.ctime * NANO + attr.ctimensec
    return reply


def _attr_timeout(fs: Filesystem, attr: Attr) -> float:
    """Return how long the kernel may believe: not at all what writing changes without its knowledge."""
    if fs.server is None and stat.S_ISREG(attr.mode) and attr.mode & (stat.S_ISUID | stat.S_ISGID):
        return 0
    return fs.options.attr_timeout


def attr_reply(fs: Filesystem, node: NodeId, attr: Attr) -> pyfuse3.EntryAttributes:
    """Make the answer to GETATTR and SETATTR."""
    reply = fill(pyfuse3.EntryAttributes(), attr)
    reply.st_ino = pyfuse3.InodeT(fs.inodes.number(node, attr.ino))
    reply.attr_timeout = _attr_timeout(fs, attr)
    return reply


def entry_reply(fs: Filesystem, entry: Entry) -> pyfuse3.EntryAttributes:
    """Make the answer to a request that finds or makes a name."""
    reply = fill(pyfuse3.EntryAttributes(), entry.attr)
    reply.st_ino = pyfuse3.InodeT(fs.inodes.take(verbs.NodeId(entry.nodeid), entry.attr.ino))
    reply.generation = entry.generation
    reply.entry_timeout = fs.options.entry_timeout
    reply.attr_timeout = _attr_timeout(fs, entry.attr)
    return reply


async def getattr_(fs: Filesystem, node: NodeId) -> pyfuse3.EntryAttributes:
    """Return a node's attributes."""
    return attr_reply(fs, node, verbs.getattr_(fs.core, node))


async def setattr_(
    fs: Filesystem,
    node: NodeId,
    attr: pyfuse3.EntryAttributes,
    fields: pyfuse3.SetattrFields,
    fh: Fh | None,
    ctx: pyfuse3.RequestContext,
) -> pyfuse3.EntryAttributes:
    """Change what `fields` names."""
    change = verbs.make_setattr(
        mode=attr.st_mode if fields.update_mode else None,
        uid=attr.st_uid if fields.update_uid else None,
        gid=attr.st_gid if fields.update_gid else None,
        size=attr.st_size if fields.update_size else None,
        atime_ns=attr.st_atime_ns if fields.update_atime else None,
        mtime_ns=attr.st_mtime_ns if fields.update_mtime else None,
        kill_suidgid=fs.kills(ctx) and fields.update_size,
    )
    handle = verbs.NO_HANDLE if fh is None else fh
    result = await fs.change(ctx, lambda caller: verbs.setattr_(fs.core, caller, node, handle, change))
    return attr_reply(fs, node, result)


async def statfs(fs: Filesystem) -> pyfuse3.StatvfsData:
    """Return the numbers of the file system that takes new data."""
    numbers = verbs.statfs(fs.core, verbs.ROOT)
    reply = pyfuse3.StatvfsData()
    for field in "f_bsize f_frsize f_blocks f_bfree f_bavail f_files f_ffree f_favail f_namemax".split():
        setattr(reply, field, getattr(numbers, field))
    return reply


def _in_group(ctx: pyfuse3.RequestContext, gid: int) -> bool:
    return ctx.gid == gid or gid in pyfuse3.get_sup_groups(ctx.pid)


async def access(fs: Filesystem, node: NodeId, mode: int, ctx: pyfuse3.RequestContext) -> bool:
    """Check permissions by mode bits; asked only where the kernel does not check itself."""
    attr = verbs.getattr_(fs.core, node)
    if ctx.uid == 0:
        return not mode & 1 or bool(attr.mode & 0o111) or (attr.mode & 0o170000) == 0o040000
    if ctx.uid == attr.uid:
        bits = attr.mode >> 6
    elif _in_group(ctx, attr.gid):
        bits = attr.mode >> 3
    else:
        bits = attr.mode
    return mode & ~bits & 0o7 == 0


async def getxattr(fs: Filesystem, node: NodeId, name: bytes) -> bytes:
    """Return an extended attribute's value, or the answer to a control request."""
    answer = control.answer(fs, node, name)
    return verbs.getxattr(fs.core, node, name) if answer is None else answer


async def listxattr(fs: Filesystem, node: NodeId, ctx: pyfuse3.RequestContext) -> Sequence[bytes]:
    """Return the names of a node's extended attributes; control requests are not listed."""
    return verbs.listxattr(fs.core, caller_of(ctx), node)


async def setxattr(
    fs: Filesystem, node: NodeId, name: bytes, value: bytes, ctx: pyfuse3.RequestContext
) -> None:
    """Set an extended attribute; pyfuse3 has looked at XATTR_CREATE and XATTR_REPLACE."""
    if control.is_control(name):
        raise pyfuse3.FUSEError(errno.EPERM)
    kill = name == ACCESS_ACL and fs.kills(ctx) and not _in_group(ctx, verbs.getattr_(fs.core, node).gid)
    await fs.change(ctx, lambda caller: verbs.setxattr(fs.core, caller, node, name, value, kill_sgid=kill))


async def removexattr(fs: Filesystem, node: NodeId, name: bytes, ctx: pyfuse3.RequestContext) -> None:
    """Remove an extended attribute."""
    await fs.change(ctx, lambda caller: verbs.removexattr(fs.core, caller, node, name))
