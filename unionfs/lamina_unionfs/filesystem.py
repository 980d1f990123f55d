"""What the slow path's handlers share: the core, the open handles, and where blocking calls run.

Theory.  Most requests touch a local disk's metadata for a few microseconds; a thread switch
costs more than that.  So a verb runs in the event loop first, without leave to copy much; if
the core says that it would have to (WouldCopy, nothing changed), it is repeated in a thread
with leave.  Reading, writing and syncing file data go to a thread at once.

Handles.  pyfuse3 hands us only `fh` where the core wants node and fh, so `nodes` remembers
which node a handle belongs to.  A directory's handle is its inode number.

Set-id bits.  Alone, libfuse takes it on itself to clear them (FUSE_HANDLE_KILLPRIV) and leaves
it to us, without saying when; so `strangers` are the handles of openers who may not keep them.
Beside the fast path such requests do not come here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import trio
from lamina_native import verbs
from lamina_native.errors import WouldCopy

from lamina_unionfs.inodes import Inodes

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyfuse3
    from lamina_native.core import Core
    from lamina_native.server import Server
    from lamina_native.verbs import Caller, Fh, NodeId

    from lamina_unionfs.options import Options

T = TypeVar("T")

THREADS = 16  # more than disks have queues to fill, fewer than would thrash two CPUs
NOBODY = verbs.make_caller(uid=0, gid=0, pid=0, may_block=True)  # for requests without a context


class Filesystem:
    """The core behind a pyfuse3 session."""

    def __init__(self, core: Core, options: Options, server: Server | None) -> None:
        self.core, self.options, self.server = core, options, server
        self.nodes: dict[Fh, NodeId] = {}
        self.inodes = Inodes(alone=server is None)
        self.strangers: set[Fh] = set()
        self.limiter = trio.CapacityLimiter(THREADS)

    def kills(self, ctx: pyfuse3.RequestContext) -> bool:
        """Whether the caller's writing clears set-id bits and it is on us to do so."""
        return self.server is None and ctx.uid != 0

    async def change(self, ctx: pyfuse3.RequestContext, verb: Callable[[Caller], T]) -> T:
        """Run a verb that may copy up: here if that is quick, else in a thread."""
        try:
            return verb(caller_of(ctx, may_block=False))
        except WouldCopy:
            caller = caller_of(ctx, may_block=True)
            return await trio.to_thread.run_sync(verb, caller, limiter=self.limiter)

    async def block(self, function: Callable[[], T]) -> T:
        """Run a call that waits for file data in a thread."""
        return await trio.to_thread.run_sync(function, limiter=self.limiter)


def caller_of(ctx: pyfuse3.RequestContext, *, may_block: bool = False) -> Caller:
    """Say to the core who asks."""
    return verbs.make_caller(uid=ctx.uid, gid=ctx.gid, pid=ctx.pid, umask=ctx.umask, may_block=may_block)
