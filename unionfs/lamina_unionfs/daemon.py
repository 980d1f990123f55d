"""Leave the terminal: the caller returns when the mount is usable, the server lives on.

Theory.  Fork first, work in the child.  The child tells its parent through a pipe: one byte
when the mount is usable, nothing if it ends before (it has then written its own line).  Only at
that instant it lets go of the caller's standard streams: podman reads our stderr until it is
closed.
"""

from __future__ import annotations

import os

from lamina_unionfs import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

USABLE = b"\0"
MAX_INHERITED = 1 << 20


def run_detached(serve: Callable[[Callable[[], None]], int]) -> int:
    """Call `serve(ready)` in a child of its own session; return how its start went."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return _await_start(reader, child)
    os.close(reader)
    os.setsid()
    _close_inherited(keep=writer)

    def ready() -> None:
        let_go()
        os.write(writer, USABLE)
        os.close(writer)

    status = serve(ready)
    os._exit(status)  # the parent's interpreter ends itself; ours has nothing left to flush


def let_go() -> None:
    """Hold no directory and none of the caller's standard streams."""
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)


def _close_inherited(*, keep: int) -> None:
    os.closerange(3, keep)
    os.closerange(keep + 1, MAX_INHERITED)


def _await_start(reader: int, child: int) -> int:
    if os.read(reader, 1) == USABLE:
        return 0
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        report.fail(f"the server was killed by signal {os.WTERMSIG(status)} before the mount was usable")
        return 1
    return os.waitstatus_to_exitcode(status) or 1
