"""Let a container stand still, and go on.

Theory.  The freezer of a control group stops all at one instant, but is seldom ours to use; stopped
one by one, process 1 first, all stand still all the same, and see nothing of it but that their
parents get SIGCHLD.  So a container is paused when its process 1 is stopped, and nothing is written
down.
"""

from __future__ import annotations

import contextlib

from lamina_runtime.container import processes
from lamina_runtime.container.state import ConflictError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lamina_runtime.container.state import Container


def pause(container: Container) -> None:
    """Pause; ConflictError where it is paused already."""
    with container.turn():
        pid = _running(container)
        if processes.is_paused(pid):
            raise ConflictError(f"container {container.record.name} is already paused")
        processes.freeze(pid)


def unpause(container: Container) -> None:
    """Let it go on; ConflictError where it is not paused."""
    with container.turn():
        pid = _running(container)
        if not processes.is_paused(pid):
            raise ConflictError(f"container {container.record.name} is not paused")
        processes.thaw(pid)


@contextlib.contextmanager
def paused(container: Container) -> Iterator[None]:
    """Keep a container still while the block runs; one that does not run, or is paused, stays so."""
    pid = container.status().pid
    if not pid or processes.is_paused(pid):
        yield
        return
    processes.freeze(pid)
    try:
        yield
    finally:
        processes.thaw(pid)


def _running(container: Container) -> int:
    pid = container.status().pid
    if not pid:
        raise processes.NotRunningError(container)
    return pid
