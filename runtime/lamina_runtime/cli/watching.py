"""A container's streams as ours: what `run`, `start`, `attach` and `exec` share."""

from __future__ import annotations

import os
import sys

from lamina_runtime import contexts
from lamina_runtime.cli import output
from lamina_runtime.container import attaching, processes
from lamina_runtime.errors import LaminaError, UsageError
from lamina_runtime.quick import socket
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lamina_runtime.container.state import Container

LOST = 255  # where nobody can say how it ended


@value
class Watch:
    """How a container is to be watched."""

    stdin: bool
    terminal: bool
    keys: bytes = attaching.DETACH
    proxy: bool = True  # signals to us are the container's
    shown: tuple[int, ...] = (1, 2)  # its streams that are


def check_terminal(*, stdin: bool, terminal: bool) -> None:
    """Refuse a terminal that we do not have."""
    if stdin and terminal and not os.isatty(0):
        raise UsageError("the input device is not a TTY")


@contexts.contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield a connection: our end, and the one for the monitor."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        yield ours, theirs
    finally:
        ours.close()
        theirs.close()


def watch(client: socket.socket, wished: Watch, kill: Callable[[int], None] | None) -> int | None:
    """Copy until the end; return the status, None if the user detached."""
    output.flush()
    sys.stderr.flush()
    try:
        ended = attaching.attach(
            client,
            stdin=wished.stdin,
            terminal=wished.terminal and os.isatty(0),
            kill=kill if wished.proxy else None,
            keys=wished.keys,
            shown=wished.shown,
        )
    except attaching.AttachError:
        return LOST  # the monitor was killed, and the container with it
    return ended.status


def attached(container: Container, wished: Watch) -> int:
    """Watch a container that runs; return its status, 0 if the user detached."""
    with attaching.connected(container.run) as client:
        ended = watch(client, wished, killer(container))
    return 0 if ended is None else ended


def killer(container: Container) -> Callable[[int], None]:
    """Return what hands signals on to a container."""

    def kill(signum: int) -> None:
        with contexts.suppress(LaminaError):  # it has just ended
            processes.send(container, signum)

    return kill
