"""What is mounted, read from mountinfo so that no mount is ever touched.

Theory.  stat(2) on a mount whose server is stuck blocks for ever, even for root.  So mount
points are found by text in /proc/PID/mountinfo, whose device number also names the FUSE
connection below /sys/fs/fuse/connections; aborting that ends every waiting request.  That number is
another mount's as soon as this one has gone, so a connection is held by open files (Connection).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.errors import SupportError

CONNECTIONS = Path("/sys/fs/fuse/connections")
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class MountEntry:
    """One line of mountinfo."""

    path: str
    minor: int
    fstype: str
    source: str


def entries(pid: int | str = "self") -> list[MountEntry]:
    """Return all mounts that the process sees, oldest first; none if it is gone."""
    try:
        text = Path(f"/proc/{pid}/mountinfo").read_text(errors="surrogateescape")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        fstype, source = right.split(" ")[:2]
        minor = int(fields[2].split(":")[1])
        found.append(MountEntry(_plain(fields[4]), minor, fstype, source))
    return found


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def below(top: Path, pid: int | str = "self") -> list[MountEntry]:
    """Return the mounts at or under 'top', deepest last."""
    prefix = f"{top}/"
    return [m for m in entries(pid) if m.path == str(top) or m.path.startswith(prefix)]


def at(path: Path, pid: int | str = "self") -> MountEntry | None:
    """Return the topmost mount exactly at 'path'."""
    return next((m for m in reversed(entries(pid)) if m.path == str(path)), None)


def wait_until_mounted(path: Path, pid: int | str, *, seconds: float, alive: subprocess.Popen[bytes]) -> bool:
    """Wait for a mount at 'path'; False if the server ends first or time runs out."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if at(path, pid) is not None:
            return True
        if alive.poll() is not None:
            return False
        time.sleep(0.002)
    return False


def ensure_fusectl() -> None:
    """Mount fusectl at its usual place if the system has not."""
    if os.geteuid() == 0 and at(CONNECTIONS) is None:
        subprocess.run(["mount", "-t", "fusectl", "none", str(CONNECTIONS)], check=True, timeout=10)


class Connection:
    """The FUSE connection of a mount, held by its files: its number may be another mount's at any moment.

    The kernel gives a number out again at once.  Files that were opened while the mount was there go on
    to mean its connection alone, and nothing once that has ended.
    """

    def __init__(self, entry: MountEntry, pid: int | str = "self") -> None:
        """Open the connection of `entry`; FileNotFoundError if it is gone, SupportError if forbidden."""
        top = CONNECTIONS / str(entry.minor)
        with contextlib.ExitStack() as opened:
            try:
                self._abort = opened.enter_context((top / "abort").open("wb", buffering=0))
                self._waiting = opened.enter_context((top / "waiting").open("rb", buffering=0))
            except PermissionError as exc:
                raise SupportError(f"cannot open the connection of {entry.path}: {exc}") from exc
            if entry not in entries(pid):
                raise FileNotFoundError(errno.ENOENT, "no longer mounted", entry.path)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        """Close at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files; the connection stays as it is."""
        self._opened.close()

    def lives(self) -> bool:
        """Tell whether the connection is still there, be it in another mount namespace."""
        return Path(f"/proc/self/fd/{self._waiting.fileno()}").read_bytes() != b""  # a file to read once

    def abort(self) -> None:
        """End every request in flight and the server; nothing if the connection has ended."""
        self._abort.write(b"1")


def connection(entry: MountEntry, pid: int | str = "self") -> Connection | None:
    """Return the connection of a mount; None if it is none of FUSE's or gone."""
    try:
        return Connection(entry, pid) if entry.fstype.startswith("fuse") else None
    except OSError as exc:
        if exc.errno not in (errno.ENOENT, errno.ENODEV):
            raise
        return None


def abort(entry: MountEntry, pid: int | str = "self") -> None:
    """Abort the FUSE connection of a mount that 'pid' sees: every request in flight fails at once."""
    held = connection(entry, pid)
    if held is not None:
        with held:
            held.abort()


def detach(entry: MountEntry) -> None:
    """Abort and lazily unmount a leftover in our own mount namespace."""
    abort(entry)
    argv = ["umount", "-l", entry.path] if os.geteuid() == 0 else ["fusermount3", "-uz", entry.path]
    subprocess.run(argv, check=False, timeout=10, capture_output=True)
