"""Keep a container's files as they are at one moment, while its processes go on.

Theory.  All that a container writes goes through its driver.  While that stands still, nothing
changes below it, and every write(2) that has returned is there: the page cache is written through.
A process that asks for a file waits for the answer, as for a slow disk; one that computes, sleeps,
talks to the network or reads what is cached sees nothing.

The monitor stops the driver for as long as we are connected to it, so that one who is killed meanwhile
leaves no container standing still.
"""

from __future__ import annotations

import os
import time

from lamina_runtime import contexts
from lamina_runtime.container import attaching
from lamina_runtime.errors import LaminaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from lamina_runtime.container.state import Container

SECONDS = 10.0  # for the driver's threads to come to a halt


@contexts.contextmanager
def held(container: Container) -> Iterator[None]:
    """Hold a running container's files while the block runs."""
    driver = container.driver()
    if not driver:
        raise LaminaError(
            f"container {container.record.name} has no driver that could be held",
            hint="leave --no-pause out: its processes are then paused",
        )
    with attaching.connected(container.run) as client:
        client.send(b"h")
        deadline = time.monotonic() + SECONDS
        while not _stands_still(driver):
            if time.monotonic() > deadline:
                raise LaminaError(f"container {container.record.name}: its driver does not stand still")
            time.sleep(0.0005)
        yield


def _stands_still(pid: int) -> bool:
    """Say whether all threads are stopped."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return False
    return all(_state(pid, thread) in "Tt" for thread in threads)


def _state(pid: int, thread: str) -> str:
    try:
        with open(f"/proc/{pid}/task/{thread}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0].decode()
    except (FileNotFoundError, ProcessLookupError):
        return "T"  # it has ended
