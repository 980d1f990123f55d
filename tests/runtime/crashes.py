"""Processes that die at the n-th change they make to the disk, for every n.

`make test` takes a third of the instants, others each day (LAMINA_DAY=N: that day's);
LAMINA_CRASH=1 takes all.
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable
from typing import Any

from tests.support import day

CHANGES = ("rename", "fsync", "fdatasync", "unlink", "rmdir", "mkdir", "open", "write", "pwrite", "ftruncate")
FAILED = 3


def instants(most: int) -> range:
    """Return which changes to die at; the action must have ended before the last."""
    if "LAMINA_CRASH" in os.environ:
        return range(1, most)
    return range(1 + day.today() % 3, most, 3)


def die_at(number: int, action: Callable[[], object]) -> bool:
    """Run `action` in a child that is killed right before its n-th change; say whether it finished."""
    child = os.fork()
    if child == 0:
        _child(number, action)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0, "the child failed, see its traceback"
    return True


def _child(number: int, action: Callable[[], object]) -> None:
    status = FAILED
    try:
        left, lock = [number], threading.Lock()
        for name in CHANGES:
            setattr(os, name, _counting(getattr(os, name), left, lock))
        action()
        status = 0
    except Exception:  # noqa: BLE001 - shown, and the parent sees the status
        traceback.print_exc()
    finally:
        os._exit(status)


def _counting(function: Any, left: list[int], lock: Any) -> Any:
    def counted(*args: Any, **kwargs: Any) -> Any:
        with lock:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    return counted
