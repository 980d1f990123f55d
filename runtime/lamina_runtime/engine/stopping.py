"""End containers, and what happens after an end.

Theory.  To stop is to ask (the stop signal), to wait, and then to insist.  Who waits does so on a
descriptor of process 1, so nothing is polled.  An end that was wished is noted first, so that a
restart policy does not undo it.

A restart policy costs nothing while the container runs: at its end the monitor becomes `lamina
container ended`, which removes it (--rm) or starts it again (--restart), after a pause that doubles
from 0.1 s up to a minute, as docker's does.
"""

from __future__ import annotations

import time

from lamina_runtime import contexts
from lamina_runtime.container import processes
from lamina_runtime.engine import containers
from lamina_runtime.errors import LaminaError, NotFoundError
from lamina_runtime.quick import signal
from lamina_runtime.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.container.state import Container
    from lamina_runtime.engine.context import Engine

GRACE = 10  # seconds between the stop signal and SIGKILL, docker's
KILLED = 10.0  # seconds for SIGKILL to take effect
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 60.0  # before a policy starts a container again
LOOK = 1.0  # seconds between looks whether somebody has stopped it meanwhile
STEADY = 10.0  # seconds after which a run was none that failed at once


def stop(
    engine: Engine, container: Container, *, signum: int | None = None, grace: int | None = None
) -> None:
    """End a container; one that does not run is left as it is."""
    container.note_stop()
    wishes = container.record.wishes
    if grace is None:
        grace = GRACE if wishes.stop_timeout is None else wishes.stop_timeout
    with contexts.suppress(processes.NotRunningError), processes.first(container) as fd:
        if processes.is_paused(container.status().pid):
            processes.thaw(container.status().pid)
        with contexts.suppress(ProcessLookupError):
            signal.pidfd_send_signal(fd, stop_signal(engine, container) if signum is None else signum)
        if not processes.ended(fd, None if grace < 0 else grace):
            _kill(fd)
    _settle(container)


def stop_signal(engine: Engine, container: Container) -> int:
    """Return the signal that asks for the end: as wished, as the image says, or SIGTERM."""
    wished = container.record.wishes.stop_signal
    if not wished:
        with contexts.suppress(NotFoundError):
            wished = engine.store.images.get(container.record.image).config.config.stop_signal
    with contexts.suppress(LaminaError):  # what an image says may be nonsense
        return processes.number(wished or "TERM")
    return signal.SIGTERM


def kill(container: Container, signum: int) -> None:
    """Send a signal; NotRunningError where nobody gets it."""
    with processes.first(container) as fd:
        if signum == signal.SIGKILL:
            container.note_stop()
        with contexts.suppress(ProcessLookupError):
            signal.pidfd_send_signal(fd, signum)
        if signum == signal.SIGKILL:
            processes.ended(fd, KILLED)
    if signum == signal.SIGKILL:
        _settle(container)


def _kill(fd: int) -> None:
    with contexts.suppress(ProcessLookupError):
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    processes.ended(fd, KILLED)


def _settle(container: Container) -> None:
    if not processes.settled(container):
        raise LaminaError(
            f"container {container.record.name} does not end",
            hint="a process that waits for a device or a file system cannot be killed",
        )


def wait(container: Container) -> int:
    """Return the status of a container's end, once there is one; 0 for one that never ran."""
    while (status := container.status()).kind in ("running", "starting", "restarting"):
        if status.pid:
            with contexts.suppress(processes.NotRunningError), processes.first(container) as fd:
                processes.ended(fd, None)
        processes.settled(container)
        if status.kind == "restarting":
            time.sleep(LOOK / 10)
    return status.code


def remove(engine: Engine, container: Container, *, force: bool = False, volumes: bool = False) -> None:
    """Remove a container; with `force` end it first, with `volumes` its anonymous volumes too."""
    if force and container.status().kind in ("running", "starting", "restarting"):
        stop(engine, container, signum=signal.SIGKILL)
    containers.remove(engine, container, volumes=volumes)


def after_watched(engine: Engine, container: Container) -> None:
    """Do what was wished for the end of a container whose end we saw, when its monitor leaves it to us."""
    wishes = container.record.wishes
    if wishes.auto_remove:
        after_end(engine, container)
    elif wishes.restart:
        containers.leave_after(engine, container)


def after_end(engine: Engine, container: Container) -> None:
    """Do what was wished for the end of a container: remove it, or start it again."""
    wishes = container.record.wishes
    if wishes.auto_remove:
        with contexts.suppress(NotFoundError):  # somebody else has removed it
            containers.remove(engine, container, volumes=True)
        return
    status = container.status()
    count = container.restarts()
    if not container.is_wanted_again(status.code):
        return
    steady = status.finished - status.started > STEADY
    pause = FIRST_PAUSE if steady else min(FIRST_PAUSE * 2.0 ** min(count, 20), LONGEST_PAUSE)
    with container.claimed("restarting"):
        _pause(container, pause)
        files.replace(
            container.data / "restarts", f"{count + 1}".encode(), temporary=container.data, durable=False
        )
    containers.start(engine, container, again=True)


def _pause(container: Container, seconds: float) -> None:
    """Wait, but not for what is not wanted any more."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and not container.was_stopped():
        time.sleep(min(left, LOOK))
