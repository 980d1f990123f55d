"""Where the uppers lie: a fresh tmpfs for each sample, ext4 and xfs images for a whole run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lamina_benchmarks import mounted

PLACE = Path("/var/tmp")
SECONDS = 60
IMAGE_GIB = 8
TMPFS = "size=75%,mode=755"
MAKERS = {"ext4": ["mkfs.ext4", "-q", "-m", "0"], "xfs": ["mkfs.xfs", "-q", "-m", "reflink=1"]}


class UnavailableError(Exception):
    """Something that a row needs is not to be had here; the text says what."""


@dataclass(slots=True)
class Bed:
    """A directory of our own with the file systems that were asked for below it."""

    top: Path
    images: dict[str, Path] = field(default_factory=dict)

    def image(self, kind: str) -> Path:
        """Return the mount point of a loop image with a file system, made at first use."""
        at = self.images.get(kind)
        if at is None:
            at = self.top / kind
            at.mkdir(exist_ok=True)
            file = self.top / f"{kind}.img"
            if shutil.which(MAKERS[kind][0]) is None:
                raise UnavailableError(f"{MAKERS[kind][0]} is not installed")
            if os.statvfs(self.top).f_bavail * os.statvfs(self.top).f_frsize < IMAGE_GIB << 30:
                raise UnavailableError(f"{self.top} has no {IMAGE_GIB} GiB")
            with file.open("wb") as stream:
                stream.truncate(IMAGE_GIB << 30)
            _run([*MAKERS[kind], str(file)])
            try:
                _run(["mount", "-o", "loop", str(file), str(at)])
            except subprocess.CalledProcessError as error:
                raise UnavailableError(f"no loop device for {kind}") from error
            self.images[kind] = at
        return at

    @contextlib.contextmanager
    def upper(self, kind: str) -> Iterator[Path]:
        """Give a directory for upper, work and mount point on a file system, empty; end with it gone."""
        if kind == "tmpfs":
            at = self.top / "upper"
            at.mkdir(exist_ok=True)
            _run(["mount", "-t", "tmpfs", "-o", TMPFS, "lamina-bench", str(at)])
        else:
            at = self.image(kind) / "upper"
            at.mkdir()
        try:
            for name in ("u", "w", "m"):
                (at / name).mkdir()
            yield at
        finally:
            if kind == "tmpfs":
                _run(["umount", "-l", str(at)])
            else:
                shutil.rmtree(at)

    @staticmethod
    def used(at: Path) -> int:
        """Return the bytes that are in use on a directory's file system."""
        found = os.statvfs(at)
        return (found.f_blocks - found.f_bfree) * found.f_frsize


@contextlib.contextmanager
def opened() -> Iterator[Bed]:
    """Make the bed, and remove it with all that it mounted."""
    sweep()
    with _claimed() as top:
        try:
            yield Bed(top)
        finally:
            # An interrupted command may have mounted what nobody got to know of.
            for at in reversed(mounted.below(top)):
                words = ["umount", "-l", str(at)]
                subprocess.run(words, timeout=SECONDS, capture_output=True, check=False)
            shutil.rmtree(top, ignore_errors=True)


def sweep() -> None:
    """Remove the beds of runs that were killed: ours by owner, of no living process, with nothing mounted."""
    for top in sorted(PLACE.resolve().glob("lb-*-*")):
        process = top.name.split("-")[1]
        if not process.isdigit() or Path("/proc", process).exists():
            continue
        with contextlib.suppress(OSError), _held(top) as status:
            if status.st_uid == os.geteuid() and not mounted.below(top):
                shutil.rmtree(top, ignore_errors=True)


@contextlib.contextmanager
def _claimed() -> Iterator[Path]:
    """Give a new directory that is held while we use it."""
    # Not on tmpfs: the images would lie in memory.
    top = Path(tempfile.mkdtemp(prefix=f"lb-{os.getpid()}-", dir=PLACE.resolve()))
    top.chmod(0o755)
    with _held(top):
        yield top


@contextlib.contextmanager
def _held(top: Path) -> Iterator[os.stat_result]:
    """Lock a directory, or raise OSError: in another container a living process may seem dead."""
    place = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield os.fstat(place)
    finally:
        os.close(place)


def _run(argv: list[str]) -> None:
    subprocess.run(argv, check=True, timeout=SECONDS, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
