"""Directories.  A directory's handle is its inode number: listing goes by cookies, nothing is kept open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyfuse3
from lamina_native import verbs

from lamina_unionfs.filesystem import NOBODY
from lamina_unionfs.ops_attr import entry_reply

if TYPE_CHECKING:
    from lamina_native.verbs import DirEntry, NodeId

    from lamina_unionfs.filesystem import Filesystem

DOTS = (b".", b"..")
MAX_BATCHES = 64  # of 8 KiB: more than the kernel's buffer holds; bounds the loop


async def readdir(fs: Filesystem, node: NodeId, cookie: int, token: pyfuse3.ReaddirToken) -> None:
    """List a directory from behind `cookie` on until the reply is full."""
    for _ in range(MAX_BATCHES):
        start = cookie
        batch = await fs.block(
            lambda start=start: list(verbs.readdir(fs.core, NOBODY, node, cookie=start, plus=True))  # type: ignore[misc]
        )
        if not batch or not _give(fs, token, batch):
            return
        cookie = batch[-1].cookie


def _give(fs: Filesystem, token: pyfuse3.ReaddirToken, batch: list[DirEntry]) -> bool:
    """Pass a batch on; take back the lookups of what does not fit, and say whether all did."""
    for position, found in enumerate(batch):
        if found.name in DOTS:
            reply = pyfuse3.EntryAttributes()
            reply.st_ino = pyfuse3.InodeT(found.entry.attr.ino)
            reply.st_mode = pyfuse3.ModeT(found.type << 12)
        else:
            reply = entry_reply(fs, found.entry)
        if not pyfuse3.readdir_reply(token, pyfuse3.FileNameT(found.name), reply, found.cookie):
            if found.entry.nodeid:
                fs.inodes.forget(reply.st_ino, 1)
            for dropped in batch[position:]:
                if dropped.entry.nodeid:
                    verbs.forget(fs.core, verbs.NodeId(dropped.entry.nodeid), 1)
            return False
    return True


async def fsyncdir(fs: Filesystem, node: NodeId, *, datasync: bool) -> None:
    """Make a directory's names durable."""
    await fs.block(lambda: verbs.fsync(fs.core, node, datasync=datasync))
