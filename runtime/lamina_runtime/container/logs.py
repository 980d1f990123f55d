"""What a container has written: the JSON lines that native/launch/log.h describes, read back.

Theory.  A file that grows at its end and is never rewritten.  The last lines are found by reading
backwards, so that a long log costs nothing; following is reading on at the end until nobody can
write any more.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BLOCK = 65536
PAUSE = 0.05  # seconds between looks at a log that is followed
GRAIN = 2e-6  # seconds: what may be lost of a moment between a clock, text and a float
LONGEST = 1 << 20  # of a line that was written by us


class Line(NamedTuple):
    """One record."""

    text: str  # with its end of line, if it had one
    stream: str  # "stdout", "stderr"
    time: str  # RFC 3339 with nanoseconds, UTC


class Window(NamedTuple):
    """Which lines are wanted; times as seconds since the epoch."""

    tail: int | None = None
    since: float | None = None
    until: float | None = None

    def begins(self, moment: float) -> bool:
        """Say whether a line is not too old."""
        return self.since is None or moment >= self.since - GRAIN

    def ends(self, moment: float) -> bool:
        """Say whether a line is too new."""
        return self.until is not None and moment > self.until + GRAIN


def read(path: Path, window: Window, *, more: Callable[[], bool] | None = None) -> Iterator[Line]:
    """Yield the lines of a window; with `more`, also those to come, until it returns False."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        if window.tail is not None:
            file.seek(_beginning(file, window.tail))
        for raw in _following(file, more, window.until):
            line = _line(raw)
            if line is None:
                continue
            moment = _seconds(line.time)
            if window.ends(moment):
                return
            if window.begins(moment):
                yield line


def _following(file: BinaryIO, more: Callable[[], bool] | None, until: float | None) -> Iterator[bytes]:
    held = b""
    while True:
        last = more is None or not more()  # asked before reading: what was written until then is seen
        while raw := file.readline(LONGEST):
            held += raw
            if held.endswith(b"\n") or len(held) > LONGEST:
                yield held
                held = b""
        if last or (until is not None and time.time() > until):
            return
        time.sleep(PAUSE)


def _beginning(file: BinaryIO, count: int) -> int:
    """Return where the last `count` lines begin."""
    end = at = file.seek(0, os.SEEK_END)
    wanted = count + 1  # the end of line before them
    while at > 0:
        size = min(BLOCK, at)
        at -= size
        file.seek(at)
        block = file.read(size)
        if at + size == end and not block.endswith(b"\n"):
            wanted -= 1  # a line that is being written
        for index in range(size - 1, -1, -1):
            if block[index] == 10:
                wanted -= 1
                if wanted <= 0:
                    return at + index + 1
    return 0


def _line(raw: bytes) -> Line | None:
    try:
        row = json.loads(raw)
        return Line(str(row["log"]), str(row["stream"]), str(row["time"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # half a line: the machine went down


def _seconds(text: str) -> float:
    from datetime import datetime

    try:
        return datetime.fromisoformat(f"{text[:26].rstrip('Z')}+00:00").timestamp()
    except ValueError:
        return 0.0
