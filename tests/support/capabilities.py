"""What this machine can do, tried once and never guessed from versions.

A probe returns None, or the reason why not.  A test that is marked with a capability's name
is skipped with that reason; `--require fuse,userns,root` turns the skip into a failure.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support import accounts

DRIVER = "lamina-unionfs"
URING_PARAMETER = Path("/sys/module/fuse/parameters/enable_uring")
_INITIAL_MAP = ["0", "0", "4294967295"]


def _root() -> str | None:
    if os.geteuid() != 0:
        return "not root"
    if Path("/proc/self/uid_map").read_text().split() != _INITIAL_MAP:
        return "root of a user namespace only"
    return None


def _fuse() -> str | None:
    accounts.ensure_user()
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC))
    except OSError as exc:
        return f"/dev/fuse: {exc.strerror}"
    return None


def _fuse_uring() -> str | None:
    """FUSE over io_uring: the parameter is root's to set, and each mount needs it only at its beginning."""
    if not URING_PARAMETER.exists():
        return f"no {URING_PARAMETER}: the kernel has no FUSE over io_uring"
    disabled = Path("/proc/sys/kernel/io_uring_disabled")
    if disabled.exists() and disabled.read_text().strip() == "2":
        return f"{disabled} is 2"
    return probe("root")


@contextlib.contextmanager
def fuse_uring_enabled() -> Iterator[None]:
    """Have the kernel offer FUSE over io_uring to what is mounted meanwhile; one worker after the other."""
    with (Path(tempfile.gettempdir()) / "lamina-test-uring.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = URING_PARAMETER.read_text()
        URING_PARAMETER.write_text("Y")
        try:
            yield
        finally:
            URING_PARAMETER.write_text(before)


def _trial(argv: list[str]) -> str | None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        return str(exc)
    return None if done.returncode == 0 else (done.stderr.strip() or f"{argv[0]}: status {done.returncode}")


def _userns() -> str | None:
    reason = accounts.ensure_user()
    if reason is not None:
        return reason
    readable = _trial([*accounts.as_user(), sys.executable, "-c", f"open({__file__!r})"])
    if readable is not None:
        return f"the unprivileged user cannot read this checkout: {readable.splitlines()[-1]}"
    return _trial([*accounts.as_user(), "unshare", "--user", "--mount", "--map-root-user", "true"])


def _subids() -> str | None:
    return probe("userns") or _trial(
        [*accounts.as_user(), "unshare", "--user", "--map-root-user", "--map-auto", "true"]
    )


def _fusermount() -> str | None:
    helper = shutil.which("fusermount3")
    if helper is None:
        return "fusermount3 is not installed"
    return None if os.stat(helper).st_mode & 0o4000 else f"{helper} is not setuid"


def _overlay(prefix: list[str], option: str) -> str | None:
    with tempfile.TemporaryDirectory(prefix="lamina-probe-") as top:
        for name in ("l", "u", "w", "m"):
            (Path(top) / name).mkdir()
        if prefix:
            for path in (top, *(f"{top}/{name}" for name in "luwm")):
                if os.geteuid() == 0:
                    os.chown(path, *accounts.ids())
        script = (
            f"cd {top} && mount -t overlay overlay -o {option}lowerdir=l,upperdir=u,workdir=w m && umount m"
        )
        reason = _trial([*prefix, "sh", "-c", script])
        shutil.rmtree(top, ignore_errors=True)
        Path(top).mkdir(exist_ok=True)
        return reason


def _overlayfs() -> str | None:
    return probe("root") or _overlay([], "")


def _overlayfs_userns() -> str | None:
    unshare = ["unshare", "--user", "--mount", "--map-root-user"]
    return probe("userns") or _overlay([*accounts.as_user(), *unshare], "userxattr,")


def _tool(name: str) -> Callable[[], str | None]:
    return lambda: probe("root") or (None if shutil.which(name) else f"{name} is not installed")


def _kernel_erofs() -> str | None:
    known = Path("/proc/filesystems").read_text().split()
    return _tool("mkfs.erofs")() or (None if "erofs" in known else "the kernel has no EROFS")


def driver() -> Path | None:
    """Return the path of the driver's command: beside this Python, else in PATH."""
    beside = Path(sys.executable).parent / DRIVER
    if beside.exists():
        return beside
    found = shutil.which(DRIVER)
    return Path(found) if found else None


def _driver() -> str | None:
    return None if driver() else f"{DRIVER} is not installed: make setup"


PROBES: dict[str, Callable[[], str | None]] = {
    "root": _root,
    "fuse": _fuse,
    "fuse_uring": _fuse_uring,
    "userns": _userns,
    "subids": _subids,
    "fusermount": _fusermount,
    "overlayfs": _overlayfs,
    "overlayfs_userns": _overlayfs_userns,
    "ext4": _tool("mkfs.ext4"),
    "xfs": _tool("mkfs.xfs"),
    "btrfs": _tool("mkfs.btrfs"),
    "mkfs.erofs": lambda: None if shutil.which("mkfs.erofs") else "mkfs.erofs is not installed",
    "erofs": _kernel_erofs,
    "driver": _driver,
    "fuse_overlayfs": lambda: None if shutil.which("fuse-overlayfs") else "fuse-overlayfs is not installed",
}


@functools.cache
def probe(name: str) -> str | None:
    """Return None if the machine has the capability, else the reason why not."""
    return PROBES[name]()


def missing(names: tuple[str, ...]) -> str | None:
    """Return the first reason among several capabilities."""
    for name in names:
        reason = probe(name)
        if reason is not None:
            return f"{name}: {reason}"
    return None
