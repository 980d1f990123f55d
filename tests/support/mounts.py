"""What is mounted, read from mountinfo so that no mount is ever touched.

Theory.  stat(2) on a mount whose server is stuck blocks for ever, even for root.  So mount
points are found by text in /proc/PID/mountinfo, whose device number also names the FUSE
connection below /sys/fs/fuse/connections; aborting that ends every waiting request.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

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


def abort(entry: MountEntry) -> None:
    """Abort the FUSE connection of a mount: every request in flight fails at once."""
    if entry.fstype.startswith("fuse"):
        try:
            (CONNECTIONS / str(entry.minor) / "abort").write_text("1")
        except OSError as exc:
            if exc.errno not in (2, 19):
                raise SupportError(f"cannot abort the connection of {entry.path}: {exc}") from exc


def is_connected(entry: MountEntry) -> bool:
    """Tell whether a FUSE connection is still there, be it in another mount namespace."""
    return (CONNECTIONS / str(entry.minor)).exists()


def detach(entry: MountEntry) -> None:
    """Abort and lazily unmount a leftover in our own mount namespace."""
    abort(entry)
    argv = ["umount", "-l", entry.path] if os.geteuid() == 0 else ["fusermount3", "-uz", entry.path]
    subprocess.run(argv, check=False, timeout=10, capture_output=True)
