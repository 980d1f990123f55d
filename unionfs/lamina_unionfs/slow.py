"""The slow path's session: pyfuse3 under trio, beside the fast path or alone.

Beside the fast path it runs in a thread of its own, on its end of the server's socket pair:
trio does not need the main thread, signals stay with the main thread's lam_server_wait(), and
libfuse takes an open descriptor as "/dev/fd/N".  It gets a duplicate, because libfuse closes
what it is given.

Alone (`engine=pyfuse3`) it has /dev/fuse itself and the main thread; then signals come to trio.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import TYPE_CHECKING

import pyfuse3
import trio

from lamina_unionfs import mounting, report, session
from lamina_unionfs.errors import DriverError
from lamina_unionfs.filesystem import Filesystem
from lamina_unionfs.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Callable

    from lamina_native.core import Core
    from lamina_native.server import Server

    from lamina_unionfs.options import Options

log = logging.getLogger(__name__)

TASKS = 64  # requests under way at once in pyfuse3
JOIN_SECONDS = 5.0  # a handler may be in the middle of a large copy; the process ends anyway
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class SlowPath:
    """pyfuse3 in a thread, on the server's socket pair."""

    def __init__(self, core: Core, server: Server, options: Options) -> None:
        self._server = server
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="slow", daemon=True)
        self._fs = Filesystem(core, options, server)
        _init(self._fs, os.dup(server.slow_fd))

    def start(self) -> None:
        """Begin to answer requests."""
        self._thread.start()

    def stop(self) -> None:
        """End the session; the thread is gone afterwards unless a copy holds it up."""
        self._stopping = True
        token = pyfuse3.trio_token
        if token is not None:
            try:
                trio.from_thread.run_sync(pyfuse3.terminate, trio_token=token)
            except trio.RunFinishedError:
                log.debug("the slow path had ended before")
        self._thread.join(JOIN_SECONDS)

    def _run(self) -> None:
        try:
            trio.run(_main)
        except Exception:
            if not self._stopping:
                log.exception("the slow path ended")
                self._server.slow_failed()
        else:
            if not self._stopping:
                self._server.slow_failed()


def serve_alone(
    options: Options, place: bytes, *, ready: Callable[[], None], detached: bool, debug: bool
) -> int:
    """Mount and serve everything through pyfuse3; return the exit status."""
    with session.open_core(options) as core:
        device = mounting.attach(options, place)
        try:
            _init(Filesystem(core, options, None), device, debug=debug)
        except RuntimeError as error:
            mounting.detach(place)
            raise DriverError(f"pyfuse3: {error}") from error
        report.configure_logging(detached=detached, debug=debug)
        try:
            status = trio.run(_alone, place, ready)
        except Exception:
            log.exception("the server cannot go on")
            mounting.detach(place)
            status = 1
        pyfuse3.close(unmount=False)
        return status


def _init(fs: Filesystem, fd: int, *, debug: bool = False) -> None:
    pyfuse3.init(Operations(fs), f"/dev/fd/{fd}", {"debug"} if debug else set())


async def _main() -> None:
    await pyfuse3.main(max_tasks=TASKS)


async def _alone(place: bytes, ready: Callable[[], None]) -> int:
    """Serve until unmounted; a signal unmounts, from a thread because unmounting asks us things."""
    with trio.open_signal_receiver(*SIGNALS) as signals:
        ready()  # not before: a signal that finds no receiver would leave a dead mount
        async with trio.open_nursery() as nursery:

            async def unmount_on_signal() -> None:
                async for _ in signals:
                    await trio.to_thread.run_sync(mounting.detach, place)

            nursery.start_soon(unmount_on_signal)
            await _main()
            nursery.cancel_scope.cancel()
    return 0
