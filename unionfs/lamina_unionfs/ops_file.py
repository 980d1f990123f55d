"""File contents: open, create, read, write, sync, release."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pyfuse3
from lamina_native import verbs

from lamina_unionfs.filesystem import NOBODY
from lamina_unionfs.ops_attr import entry_reply

if TYPE_CHECKING:
    from lamina_native.verbs import Caller, Fh, NodeId

    from lamina_unionfs.filesystem import Filesystem

UNKNOWN = 0  # a handle that the fast path opened: the core goes by fh alone


def _info(fh: Fh, flags: int) -> pyfuse3.FileInfo:
    """Describe an open file: the core is the only writer, so cached pages stay good."""
    return pyfuse3.FileInfo(fh=pyfuse3.FileHandleT(fh), keep_cache=True, direct_io=bool(flags & os.O_DIRECT))


def _node(fs: Filesystem, fh: Fh) -> NodeId:
    return fs.nodes.get(fh, verbs.NodeId(UNKNOWN))


async def open_(fs: Filesystem, node: NodeId, flags: int, ctx: pyfuse3.RequestContext) -> pyfuse3.FileInfo:
    """Open a regular file; brings it to upper if it may be written."""
    kills = fs.kills(ctx)

    def opened(caller: Caller) -> Fh:
        fh = verbs.open_(fs.core, caller, node, flags=flags)
        if kills and flags & os.O_TRUNC:
            try:
                verbs.setattr_(fs.core, caller, node, fh, verbs.make_setattr(kill_suidgid=True))
            except OSError:
                verbs.release(fs.core, fh)
                raise
        return fh

    fh = await fs.change(ctx, opened)
    fs.nodes[fh] = node
    if kills:
        fs.strangers.add(fh)
    return _info(fh, flags)


async def create(
    fs: Filesystem, parent: NodeId, name: bytes, mode: int, flags: int, ctx: pyfuse3.RequestContext
) -> tuple[pyfuse3.FileInfo, pyfuse3.EntryAttributes]:
    """Create and open a regular file."""
    entry, fh = await fs.change(
        ctx, lambda caller: verbs.create(fs.core, caller, parent, name, mode=mode, flags=flags)
    )
    fs.nodes[fh] = verbs.NodeId(entry.nodeid)
    if fs.kills(ctx):
        fs.strangers.add(fh)
    return _info(fh, flags), entry_reply(fs, entry)


async def read(fs: Filesystem, fh: Fh, offset: int, size: int) -> memoryview:
    """Return up to `size` bytes."""
    node = _node(fs, fh)
    return await fs.block(lambda: verbs.read(fs.core, NOBODY, node, fh, size=size, offset=offset))


async def write(fs: Filesystem, fh: Fh, offset: int, data: bytes) -> int:
    """Write all of `data`, unless the disk is full."""
    node = _node(fs, fh)
    kill = fh in fs.strangers
    return await fs.block(
        lambda: verbs.write(fs.core, NOBODY, node, fh, data, offset=offset, kill_suidgid=kill)
    )


async def flush() -> None:
    """Nothing waits in the server for a close(2); tell the kernel not to ask again."""
    raise pyfuse3.FUSEError(errno.ENOSYS)


async def fsync(fs: Filesystem, fh: Fh, *, datasync: bool) -> None:
    """Make a file durable."""
    node = _node(fs, fh)
    await fs.block(lambda: verbs.fsync(fs.core, node, fh, datasync=datasync))


async def release(fs: Filesystem, fh: Fh) -> None:
    """Close a handle."""
    fs.nodes.pop(fh, None)
    fs.strangers.discard(fh)
    verbs.release(fs.core, fh)
