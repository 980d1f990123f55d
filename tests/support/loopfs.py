"""Small file systems for layers: loop images of ext4, xfs and btrfs, and tmpfs."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support import mounts

# Sparse image sizes in MiB: near the least that the tools accept.
_SIZES = {"ext4": 256, "xfs": 320, "btrfs": 256, "tmpfs": 256}
_MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-m", "0"],
    "xfs": ["mkfs.xfs", "-q"],
    "btrfs": ["mkfs.btrfs", "-q"],
}
KINDS = tuple(_SIZES)
SECONDS = 30


@contextlib.contextmanager
def filesystem(kind: str, at: Path, *, size_mib: int | None = None, options: str = "loop") -> Iterator[Path]:
    """Mount a fresh file system at 'at', which is made; the image lies beside it."""
    at.mkdir(parents=True)
    size = size_mib or _SIZES[kind]
    image = at.with_suffix(".img")
    if kind == "tmpfs":
        argv = ["mount", "-t", "tmpfs", "-o", f"size={size}m,mode=755", "lamina-test", str(at)]
    else:
        with image.open("wb") as stream:
            stream.truncate(size << 20)
        subprocess.run([*_MKFS[kind], str(image)], check=True, timeout=SECONDS, capture_output=True)
        argv = ["mount", "-o", options, str(image), str(at)]
    subprocess.run(argv, check=True, timeout=SECONDS, capture_output=True)
    try:
        at.chmod(0o755)
        yield at
    finally:
        done = subprocess.run(["umount", str(at)], timeout=SECONDS, capture_output=True, check=False)
        entry = mounts.at(at)
        if entry is not None:
            mounts.detach(entry)
        image.unlink(missing_ok=True)
        if done.returncode == 0:
            at.rmdir()
