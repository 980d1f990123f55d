"""The directory of a test session, and the check that nothing is left in it.

A directory's name says which process it belongs to, so that a later session clears up after one that
was killed: what it had mounted holds memory for as long as the machine runs.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support import guard, mounts
from tests.support.errors import SupportError

SECONDS = 10


_OURS = re.compile(r"lamina-test-([0-9a-z]+)[.]([0-9a-z]+)[.][0-9a-z]+")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"  # names are short: podman takes 50 bytes of a path


def _start_time(pid: int) -> int:
    """Return when a process began, in ticks since boot; 0 if there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def make(parent: Path | None = None) -> Path:
    """Make a directory for as long as this process lives."""
    own = f"lamina-test-{_short(os.getpid())}.{_short(_start_time(os.getpid()))}"
    for number in itertools.count():
        path = (parent or Path(tempfile.gettempdir())) / f"{own}.{_short(number)}"
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return path
    raise AssertionError("counting has no end")


def _short(number: int) -> str:
    text = ""
    while number or not text:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text


def clear_stale(parent: Path | None = None) -> list[Path]:
    """Remove what processes that were killed have left, and what is mounted there; return it."""
    gone = []
    for path in sorted((parent or Path(tempfile.gettempdir())).glob("lamina-test-*.*.*")):
        name = _OURS.fullmatch(path.name)
        if name is None or _start_time(int(name[1], 36)) == int(name[2], 36):
            continue
        if os.geteuid() not in (0, path.lstat().st_uid):
            continue
        for entry in reversed(mounts.below(path)):
            mounts.detach(entry)
        if not mounts.below(path):
            shutil.rmtree(path, ignore_errors=True)
            gone.append(path)
    return gone


def _mount_tmpfs(top: Path) -> bool:
    if os.geteuid() != 0:
        return False
    argv = ["mount", "-t", "tmpfs", "-o", "mode=755,size=4g", "lamina-test", str(top)]
    subprocess.run(argv, check=True, timeout=SECONDS)
    try:
        os.setxattr(top, "user.lamina", b"")
    except OSError:
        subprocess.run(["umount", str(top)], check=True, timeout=SECONDS)
        return False
    os.removexattr(top, "user.lamina")
    return True


@contextlib.contextmanager
def session_directory() -> Iterator[Path]:
    """Make a directory that every user may enter; raise SupportError if anything stays in it.

    As root it is a tmpfs, if that keeps user.* xattrs here: tests that are about a certain
    file system mount one, the others need not wait for a disk.
    """
    clear_stale()
    top = make()
    memory = _mount_tmpfs(top)
    top.chmod(0o755)
    try:
        yield top
    finally:
        left = guard.leftovers(top)
        if memory:
            subprocess.run(["umount", "-l", str(top)], check=True, timeout=SECONDS)
        if memory or not left:
            shutil.rmtree(top)
    if left:
        raise SupportError("left behind: " + "; ".join(left))
