"""Names: find, make, move and remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina_native import verbs

from lamina_unionfs.filesystem import caller_of
from lamina_unionfs.ops_attr import entry_reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyfuse3
    from lamina_native.verbs import NodeId

    from lamina_unionfs.filesystem import Filesystem


async def lookup(
    fs: Filesystem, parent: NodeId, name: bytes, ctx: pyfuse3.RequestContext
) -> pyfuse3.EntryAttributes:
    """Find a name."""
    try:
        entry = verbs.lookup(fs.core, caller_of(ctx), parent, name)
    except FileNotFoundError:
        if not fs.options.negative_timeout:
            raise
        return _negative(fs)
    return entry_reply(fs, entry)


def _negative(fs: Filesystem) -> pyfuse3.EntryAttributes:
    """Make an answer that lets the kernel remember that there is nothing."""
    import pyfuse3

    reply = pyfuse3.EntryAttributes()
    reply.st_ino = pyfuse3.InodeT(0)
    reply.entry_timeout = fs.options.negative_timeout
    return reply


async def forget(fs: Filesystem, numbers: Sequence[tuple[int, int]]) -> None:
    """Give back lookups."""
    for number, count in numbers:
        verbs.forget(fs.core, fs.inodes.forget(number, count), count)


async def mknod(
    fs: Filesystem, parent: NodeId, name: bytes, mode: int, rdev: int, ctx: pyfuse3.RequestContext
) -> pyfuse3.EntryAttributes:
    """Create a file, FIFO, socket or device node."""
    entry = await fs.change(
        ctx, lambda caller: verbs.mknod(fs.core, caller, parent, name, mode=mode, rdev=rdev)
    )
    return entry_reply(fs, entry)


async def mkdir(
    fs: Filesystem, parent: NodeId, name: bytes, mode: int, ctx: pyfuse3.RequestContext
) -> pyfuse3.EntryAttributes:
    """Create a directory."""
    entry = await fs.change(ctx, lambda caller: verbs.mkdir(fs.core, caller, parent, name, mode=mode))
    return entry_reply(fs, entry)


async def symlink(
    fs: Filesystem, parent: NodeId, name: bytes, target: bytes, ctx: pyfuse3.RequestContext
) -> pyfuse3.EntryAttributes:
    """Create a symbolic link."""
    entry = await fs.change(ctx, lambda caller: verbs.symlink(fs.core, caller, parent, name, target=target))
    return entry_reply(fs, entry)


async def link(
    fs: Filesystem, node: NodeId, parent: NodeId, name: bytes, ctx: pyfuse3.RequestContext
) -> pyfuse3.EntryAttributes:
    """Give a node another name."""
    entry = await fs.change(ctx, lambda caller: verbs.link(fs.core, caller, node, parent=parent, name=name))
    return entry_reply(fs, entry)


async def unlink(fs: Filesystem, parent: NodeId, name: bytes, ctx: pyfuse3.RequestContext) -> None:
    """Remove a name that is no directory."""
    await fs.change(ctx, lambda caller: verbs.unlink(fs.core, caller, parent, name))


async def rmdir(fs: Filesystem, parent: NodeId, name: bytes, ctx: pyfuse3.RequestContext) -> None:
    """Remove an empty directory."""
    await fs.change(ctx, lambda caller: verbs.rmdir(fs.core, caller, parent, name))


async def rename(
    fs: Filesystem,
    source: tuple[NodeId, bytes],
    target: tuple[NodeId, bytes],
    flags: int,
    ctx: pyfuse3.RequestContext,
) -> None:
    """Move or exchange names."""
    await fs.change(ctx, lambda caller: verbs.rename(fs.core, caller, source, target, flags=flags))


async def readlink(fs: Filesystem, node: NodeId) -> bytes:
    """Return a symbolic link's target."""
    return verbs.readlink(fs.core, node)
