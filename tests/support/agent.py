"""Run functions in a process that may hang, and survive it.

Theory.  The pytest process never touches a mount.  An agent is a small Python process in
some realm (root, an unprivileged user, a user namespace).  For each call it forks a child,
which runs the function in a session of its own; the result comes back through pipes.  If it
does not come back in time, the caller's 'rescue' runs (it aborts the FUSE connections, since a
process that waits for a FUSE answer cannot be killed) and the child's group is killed.

Functions go over by name, arguments and results by pickle: both sides are this repository.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, ParamSpec, TypeVar

from tests.support.errors import DeadlineExceeded, RemoteFailure, SupportError

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 20.0  # seconds for one call; the slowest case takes about 2
GRACE = 5.0  # seconds between killing a child and giving up on its agent
_HEAD = struct.Struct("<Q")
P = ParamSpec("P")
T = TypeVar("T")


def _send(fd: int, message: object) -> None:
    data = pickle.dumps(message)
    view = memoryview(_HEAD.pack(len(data)) + data)
    while view:
        view = view[os.write(fd, view) :]


def _read_exactly(fd: int, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = os.read(fd, size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def _receive(fd: int) -> Any:
    (size,) = _HEAD.unpack(_read_exactly(fd, _HEAD.size))
    return pickle.loads(_read_exactly(fd, size))


class Agent:
    """The near end of an agent; one call at a time."""

    def __init__(self, prefix: Sequence[str] = (), *, rescue: Callable[[], None] | None = None) -> None:
        self._rescue = rescue
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.support.agent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests = self._process.stdin.fileno()
        self._replies = self._process.stdout.fileno()
        try:
            self.pid: int = self._reply(DEADLINE)
        except (EOFError, TimeoutError) as exc:
            self.close()
            raise SupportError(f"no agent behind {' '.join(prefix)}") from exc

    def call(self, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run func(*args) in a child of the agent, within DEADLINE seconds."""
        return self.call_within(DEADLINE, func, *args, **kwargs)

    def call_within(self, seconds: float, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run func(*args) in a child of the agent.

        Raises RemoteFailure if it raises, DeadlineExceeded (and kills it) if it takes longer.
        """
        _send(self._requests, (func, args, kwargs))
        child: int = self._reply(GRACE)
        try:
            outcome, value = self._reply(seconds)
        except TimeoutError:
            self._kill(child)
            raise DeadlineExceeded(f"{func.__module__}.{func.__qualname__}", seconds) from None
        if outcome == "ok":
            result: T = value
            return result
        text, kind, errno = value
        raise RemoteFailure(text, kind=kind, errno=errno)

    def _kill(self, child: int) -> None:
        if self._rescue is not None:
            self._rescue()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        try:
            self._reply(GRACE)
        except (TimeoutError, EOFError) as exc:
            raise SupportError(f"process {child} cannot be killed; its agent is lost") from exc

    def _reply(self, seconds: float) -> Any:
        ready, _, _ = select.select([self._replies], [], [], seconds)
        if not ready:
            raise TimeoutError
        return _receive(self._replies)

    def close(self) -> None:
        """End the agent; safe to repeat."""
        if self._process.poll() is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(GRACE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(GRACE)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Agent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


# ---- the far end ----


def _serve(requests: int, replies: int) -> None:
    _send(replies, os.getpid())
    while True:
        try:
            func, args, kwargs = _receive(requests)
        except EOFError:
            return
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _child(writer, func, args, kwargs)
        os.close(writer)
        _send(replies, child)
        try:
            answer = _receive(reader)
        except EOFError:
            answer = None
        os.close(reader)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if answer is None:
            code = os.waitstatus_to_exitcode(status)
            answer = ("error", (f"{func.__qualname__}: the process ended with status {code}", "died", None))
        _send(replies, answer)


def _child(writer: int, func: Callable[..., object], args: Any, kwargs: Any) -> NoReturn:
    os.setsid()
    os.umask(0o022)
    try:
        answer: tuple[str, object] = ("ok", func(*args, **kwargs))
        pickle.dumps(answer)
    except BaseException as exc:  # noqa: BLE001 -- whatever it is, the other side wants to know
        text = "".join(traceback.format_exception(exc))
        answer = ("error", (text, type(exc).__name__, getattr(exc, "errno", None)))
    _send(writer, answer)
    # Wait for the agent to kill the group: the child stays its leader until the answer is read.
    time.sleep(GRACE)
    os._exit(0)


def main() -> None:
    """Serve calls from stdin until it ends."""
    requests = os.dup(0)
    replies = os.dup(1)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    _serve(requests, replies)


if __name__ == "__main__":
    main()
