"""What the command says: answers on stdout, everything else on stderr; the only place that prints.

Names, labels and histories come from strangers.  On a terminal, control characters in them are
shown, not obeyed; bytes that are not UTF-8 come out as escapes rather than as a failure.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, TextIO

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)}


def prepare() -> None:
    """Make both streams take any text."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # TextIOWrapper at start


def plain(text: str) -> str:
    """Return text with control characters other than tab and newline made visible."""
    return text if text.isprintable() else text.translate(_CONTROLS)


def line(text: str = "") -> None:
    """Print one line of the answer."""
    write(text + "\n")


def write(text: str) -> None:
    """Print a piece of the answer."""
    _put(sys.stdout, text)


def note(text: str) -> None:
    """Tell something that is not the answer."""
    _put(sys.stderr, text + "\n")
    sys.stderr.flush()


def ask(question: str) -> bool:
    """Ask on stdout, as docker does, and read y or n from stdin; anything but yes is no."""
    write(question)
    sys.stdout.flush()
    answer = sys.stdin.readline(1024) if sys.stdin is not None else ""
    return answer.strip().lower() in ("y", "yes")


def binary() -> BinaryIO:
    """Return stdout for bytes."""
    sys.stdout.flush()
    return sys.stdout.buffer


def flush() -> None:
    """Write out what is buffered; a reader that has gone shows here."""
    if sys.stdout is not None:
        sys.stdout.flush()


def give_up() -> None:
    """Have no more of the answer arrive anywhere: the interpreter flushes once more when it ends."""
    import os

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def on_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person reads this stream."""
    return stream is not None and not stream.closed and stream.isatty()


def _put(stream: TextIO, text: str) -> None:
    if stream is not None:
        stream.write(plain(text) if on_terminal(stream) else text)
