"""Where fixtures are kept between runs, and what must hold of that place.

A program from there is run, by root too, and root's place has a name that anyone can guess.  So the
place and its parts are ours and nobody else may write there, nor change which directory the name
stands for: each directory above is root's or ours, and others may write there only where the sticky
bit keeps them from taking away what is not theirs.  Anything else is refused, not mended: what lies
there may already be another's.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "LAMINA_CACHE"
OF_ROOT = Path("/var/tmp/lamina-cache")
ADVICE = f"name a directory of your own by {VARIABLE}"
_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_PLACE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_OVERFLOW = Path("/proc/sys/kernel/overflowuid")
_ALL_IDS = (1 << 32) - 1


def root() -> Path:
    """Return the directory that all of Lamina's fixtures share, root's or the user's own, made if need be."""
    named = _named()
    path = named.parent.resolve() / named.name
    trusted = _trusted()
    for above in reversed(path.parents):
        with contextlib.suppress(FileExistsError):
            above.mkdir(mode=0o755)
        status = above.lstat()
        if status.st_uid not in trusted:
            raise _unsafe(above, f"belongs to user {status.st_uid}")
        if status.st_mode & _OTHERS and not status.st_mode & stat.S_ISVTX:
            raise _unsafe(above, "others may write there")
    return _own(path)


def directory() -> Path:
    """Return the benchmark's part of it, made if need be."""
    return _own(root() / "bench")


@contextlib.contextmanager
def locked() -> Iterator[Path]:
    """Give the directory that all share while no other process of ours is here."""
    top = root()
    lock = os.open(top / "lock", _LOCK, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield top
    finally:
        os.close(lock)


def ours(status: os.stat_result) -> bool:
    """Say whether something belongs to us and cannot be written by others."""
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS


def _named() -> Path:
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named).absolute()
        if path.name in ("", ".."):
            raise _unsafe(path, "no place for a cache")
        return path
    if os.geteuid() == 0:
        return OF_ROOT
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(base) if base.startswith("/") else Path("~/.cache").expanduser()) / "lamina"
    except RuntimeError:
        raise _unsafe(Path("~"), "there is no such directory") from None


def _trusted() -> set[int]:
    """Return who may own what is above: we and root, who in a user namespace may be without an id."""
    words = Path("/proc/self/uid_map").read_text(encoding="ascii").split()
    trusted = {0, os.geteuid()}
    if sum(map(int, words[2::3])) < _ALL_IDS:
        trusted.add(int(_OVERFLOW.read_text(encoding="ascii")))
    return trusted


def _own(path: Path) -> Path:
    """Make a directory if need be, and return it if it is ours alone to write."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o755)
    try:
        place = os.open(path, _PLACE)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise _unsafe(path, "not a directory") from None
        raise
    try:
        status = os.fstat(place)
    finally:
        os.close(place)
    if status.st_uid != os.geteuid():
        raise _unsafe(path, f"belongs to user {status.st_uid}, not to us")
    if not ours(status):
        raise _unsafe(path, "others may write there")
    return path


def _unsafe(path: Path, why: str) -> PermissionError:
    return PermissionError(errno.EPERM, f"{why}: {ADVICE}", str(path))
