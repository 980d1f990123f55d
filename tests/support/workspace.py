"""The directory of a test session, and the check that nothing is left in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support import guard
from tests.support.errors import SupportError

SECONDS = 10


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
    top = Path(tempfile.mkdtemp(prefix="lamina-test-"))
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
