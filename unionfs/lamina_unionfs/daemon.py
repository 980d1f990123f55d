"""Leave the terminal: the caller returns when the mount is usable, the server lives on.

Theory.  Fork first, work in the child.  The child tells its parent through a pipe: one byte
when the mount is usable, nothing if it ends before (it has then written its own line).  Only at
that instant it lets go of the caller's standard streams: podman reads our stderr until it is
closed.
"""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NULL = "/dev/null"
USABLE = b"\0"
MAX_INHERITED = 1 << 20


def run_detached(serve: Callable[[Callable[[], None]], int]) -> int:
    """Call `serve(ready)` in a child of its own session; return how its start went."""
    reader, writer = posix.pipe()
    child = posix.fork()
    if child:
        posix.close(writer)
        return _await_start(reader, child)
    posix.close(reader)
    posix.setsid()
    _close_inherited(keep=writer)

    def ready() -> None:
        let_go()
        posix.write(writer, USABLE)
        posix.close(writer)

    status = serve(ready)
    posix._exit(status)  # the parent's interpreter ends itself; ours has nothing left to flush


def let_go() -> None:
    """Hold no directory and none of the caller's standard streams."""
    posix.chdir("/")
    null = posix.open(NULL, posix.O_RDWR | posix.O_CLOEXEC)
    for stream in (0, 1, 2):
        posix.dup2(null, stream)
    posix.close(null)


def _close_inherited(*, keep: int) -> None:
    posix.closerange(3, keep)
    posix.closerange(keep + 1, MAX_INHERITED)


def _await_start(reader: int, child: int) -> int:
    if posix.read(reader, 1) == USABLE:
        return 0
    _, status = posix.waitpid(child, 0)
    if posix.WIFSIGNALED(status):
        from lamina_unionfs import report

        report.fail(f"the server was killed by signal {posix.WTERMSIG(status)} before the mount was usable")
        return 1
    return posix.waitstatus_to_exitcode(status) or 1
