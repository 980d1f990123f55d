"""The unprivileged user of the tests: made once, by root, if the machine lacks it."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

USER = "lamina-test"
SUBIDS = "100000-165535"


def ensure_user() -> str | None:
    """Make sure of the user, its subordinate ids and its right to open /dev/fuse and /dev/net/tun.

    Returns the reason why there is none, None if all is well.  Needs root to change anything.
    """
    if os.geteuid() != 0:
        return None  # we are a plain user ourselves
    with (Path(tempfile.gettempdir()) / "lamina-test-user.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _known():
            made = subprocess.run(
                ["useradd", "--create-home", "--shell", "/bin/sh", USER],
                capture_output=True,
                text=True,
                check=False,
            )
            if made.returncode != 0:
                return f"useradd {USER}: {made.stderr.strip()}"
        for path, option in (("/etc/subuid", "--add-subuids"), ("/etc/subgid", "--add-subgids")):
            if not _has_range(path):
                subprocess.run(["usermod", option, SUBIDS, USER], check=True, timeout=10)
        # What udev's rules do; a machine without udev still has 0600.
        for device in (Path("/dev/fuse"), Path("/dev/net/tun")):
            if device.exists() and stat.S_IMODE(device.stat().st_mode) & 0o006 != 0o006:
                device.chmod(0o666)
    return None


def _known() -> bool:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def _has_range(path: str) -> bool:
    text = Path(path).read_text() if Path(path).exists() else ""
    return any(line.startswith(f"{USER}:") for line in text.splitlines())


def ids() -> tuple[int, int]:
    """Return the user's uid and gid; our own if we are not root."""
    if os.geteuid() != 0:
        return os.getuid(), os.getgid()
    entry = pwd.getpwnam(USER)
    return entry.pw_uid, entry.pw_gid


def as_user() -> list[str]:
    """Return the words that, put before a command, run it as the user."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv") or "setpriv"
    return [setpriv, f"--reuid={USER}", f"--regid={ids()[1]}", "--init-groups", "--reset-env", "--"]
