"""A command on a terminal of its own, as a person has it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from typing import Self

SECONDS = 40


class Terminal:
    """A running command, what it has shown, and its keyboard."""

    def __init__(self, words: Sequence[str], *, rows: int = 24, columns: int = 80) -> None:
        """Start it."""
        self.master, slave = pty.openpty()
        self.shown = b""
        self._size(rows, columns)
        self.process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)

    def expect(self, text: str) -> None:
        """Wait until something is shown, from where the last such wait ended."""
        deadline = time.monotonic() + SECONDS
        while text.encode() not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} is not in {self.shown!r}"
            if select.select([self.master], [], [], 0.2)[0]:
                with contextlib.suppress(OSError):  # EIO: nobody has it open any more
                    self.shown += os.read(self.master, 4096)
        self.shown = self.shown.partition(text.encode())[2]

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.master, keys)

    def resize(self, rows: int, columns: int) -> None:
        """Change the window's size."""
        self._size(rows, columns)
        os.kill(self.process.pid, signal.SIGWINCH)

    def _size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def status(self) -> int:
        """Wait for the end."""
        return self.process.wait(SECONDS)
