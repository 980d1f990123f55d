"""Two who use a store at once, step by step: the other one starts when the first has come to a place."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LONG = 60.0


class Other:
    """Does something in a thread of its own; `start` returns once it is done, or waits for a lock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
        self._action = action
        self._thread = threading.Thread(target=self._run)
        self._settled = threading.Event()
        self.waited = False
        self.error: Exception | None = None
        self._flock = fcntl.flock
        monkeypatch.setattr(fcntl, "flock", self._lock)

    def start(self) -> None:
        self._thread.start()
        assert self._settled.wait(LONG)

    def end(self) -> None:
        """Wait until it is done; raises what it raised."""
        self._thread.join(LONG)
        assert not self._thread.is_alive()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            self._action()
        except Exception as exc:  # noqa: BLE001 - raised by end()
            self.error = exc
        finally:
            self._settled.set()

    def _lock(self, fd: int, how: int) -> None:
        if threading.current_thread() is not self._thread or how & fcntl.LOCK_NB:
            self._flock(fd, how)
            return
        try:
            self._flock(fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            self.waited = True
            self._settled.set()
            self._flock(fd, how)


def at(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, action: Callable[[], object], *, turn: int = 1
) -> None:
    """Let `action` happen right before the turn-th call of a function; once."""
    function, left = getattr(owner, name), [turn]

    def called(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            action()
        return function(*args, **kwargs)

    monkeypatch.setattr(owner, name, called)


def waits(lock: Path) -> bool:
    """Tell whether who wants a lock alone has to wait."""
    fd = os.open(lock, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
