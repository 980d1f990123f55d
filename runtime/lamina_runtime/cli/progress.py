"""Progress: bars on a terminal, one line an event elsewhere, nothing where quiet is wanted.

Theory.  Work reports in small pieces, from any thread, under an id (a layer's short digest).  On
a terminal each id has a line; the block of lines is drawn again in place at most ten times a
second, whoever reports first after the time is up doing the drawing, so that there is no timer.
Elsewhere only beginnings and ends are told.  All of it goes to stderr: it is not the answer.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from lamina_runtime.cli import human, output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

INTERVAL = 0.1
BAR = 50
NARROWEST, TALLEST = 40, 200


class _Line:
    __slots__ = ("current", "ended", "text", "total")

    def __init__(self, total: int, text: str) -> None:
        self.total, self.text = total, text
        self.current = 0
        self.ended = False

    def shown(self, name: str, width: int) -> str:
        line = f"{name}: {self.text}"
        if not self.ended and self.total:
            part = min(self.current / self.total, 1.0)
            bar = "=" * max(int(part * BAR) - 1, 0) + ">"
            line += (
                f" [{bar:{BAR}}] {human.size(self.current, digits=4):>8}/{human.size(self.total, digits=4)}"
            )
        elif not self.ended and self.current:
            line += f" {human.size(self.current, digits=4)}"
        return output.plain(line)[: width - 1]


class Silent:
    """Tells nothing."""

    def start(self, name: str, total: int | None, text: str) -> None:
        """Begin something of `total` units, if that is known."""

    def advance(self, name: str, count: int) -> None:
        """Go on by `count` units."""

    def done(self, name: str, text: str) -> None:
        """End something."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Lines(Silent):
    """Tells beginnings and ends, a line each."""

    def start(self, name: str, total: int | None, text: str) -> None:  # noqa: ARG002 - the interface
        """Say that something begins."""
        output.note(f"{name}: {text}")

    def done(self, name: str, text: str) -> None:
        """Say that something ended."""
        output.note(f"{name}: {text}")


class Bars(Silent):
    """Draws a block of lines in place."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._drawn = 0
        self._next = 0.0
        self._lock = threading.Lock()

    def start(self, name: str, total: int | None, text: str) -> None:
        """Give something its line."""
        with self._lock:
            self._lines[name] = _Line(total or 0, text)
            self._draw()

    def advance(self, name: str, count: int) -> None:
        """Move its bar."""
        with self._lock:
            line = self._lines.get(name)
            if line is not None:
                line.current += count
                self._draw()

    def done(self, name: str, text: str) -> None:
        """Replace its bar by a word."""
        with self._lock:
            line = self._lines.setdefault(name, _Line(0, text))
            line.text, line.ended = text, True
            self._draw(now=True)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._draw(now=True)

    def _draw(self, *, now: bool = False) -> None:
        moment = time.monotonic()
        if not self._lines or (moment < self._next and not now):
            return
        self._next = moment + INTERVAL
        width, height = _terminal()
        shown = list(self._lines.items())[-min(height - 1, TALLEST) :]
        text = f"\x1b[{self._drawn}A" if self._drawn else ""
        text += "".join(f"\r\x1b[2K{line.shown(name, width)}\n" for name, line in shown)
        self._drawn = len(shown)
        sys.stderr.write(text)
        sys.stderr.flush()


def _terminal() -> tuple[int, int]:
    try:
        size = os.get_terminal_size(sys.stderr.fileno())
    except OSError:
        return 80, 24
    return max(size.columns, NARROWEST), max(size.lines, 2)


def make(*, quiet: bool) -> Silent:
    """Return what fits where stderr goes."""
    if quiet:
        return Silent()
    return Bars() if output.on_terminal(sys.stderr) and os.environ.get("TERM", "dumb") != "dumb" else Lines()
