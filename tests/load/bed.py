"""The ground that load runs on: a mounted stack whose health can be asked for."""

import contextlib
import os
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.differential import calls, snapshot
from tests.differential.drivers import DRIVERS, TRUSTED, Flavour, FuseMount, Layout, Mounted
from tests.support import mounts

MAX_DESCRIPTORS = 256  # of an idle server that has been told to forget
MAX_GROWTH = 64 << 20  # bytes of resident memory that a load may leave behind
STUCK_SECONDS = 60.0
SETTLE_SECONDS = 1.0


@dataclass
class Bed:
    """A mounted stack; `root` is the mount point."""

    driver: str
    layout: Layout
    mount: Mounted
    flavour: Flavour = TRUSTED
    memory: int = 0
    beat: float = field(default_factory=time.monotonic)

    @property
    def root(self) -> Path:
        """Return the mount point."""
        return self.layout.merged

    @property
    def server(self) -> int | None:
        """Return the server's process id; None for kernel overlayfs."""
        return self.mount.server.pid if isinstance(self.mount, FuseMount) else None

    def remount(self, driver: str | None = None) -> None:
        """Unmount, and mount again, perhaps with another driver."""
        self.mount.unmount()
        self.mount = DRIVERS[driver or self.driver].mount(self.layout, self.flavour)

    def alive(self) -> None:
        """Assert that the server still runs."""
        if isinstance(self.mount, FuseMount):
            assert self.mount.server.poll() is None, f"the server died: {self.mount.words()}"


def resident(pid: int) -> int:
    """Return a process's resident memory in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise RuntimeError(f"process {pid} has no memory")


def descriptors(pid: int) -> int:
    """Return how many descriptors a process has."""
    return len(os.listdir(f"/proc/{pid}/fd"))


@contextlib.contextmanager
def opened(driver: str, base: Path, lower: Path, flavour: Flavour = TRUSTED) -> Iterator[Bed]:
    """Mount `lower` below an empty upper; a mount that hangs for long is aborted."""
    folders = [base / part for part in ("upper", "work", "merged")]
    for folder in folders:
        folder.mkdir()
    layout = Layout((lower,), *folders)
    bed = Bed(driver, layout, DRIVERS[driver].mount(layout, flavour), flavour)
    if bed.server is not None:
        bed.memory = resident(bed.server)
    stop = threading.Event()
    threading.Thread(target=_watch, args=(bed, base, stop), daemon=True).start()
    try:
        yield bed
        bed.mount.unmount()
    finally:
        stop.set()
        for entry in reversed(mounts.below(base)):
            mounts.detach(entry)


def _watch(bed: Bed, base: Path, stop: threading.Event) -> None:
    while not stop.wait(1.0):
        if time.monotonic() - bed.beat > STUCK_SECONDS:
            for entry in mounts.below(base):
                mounts.abort(entry)


def assert_healthy(bed: Bed) -> None:
    """Assert everything that must hold after a load, the upper's acceptance by the kernel last."""
    bed.alive()
    bed.beat = time.monotonic()
    warm = snapshot.take(str(bed.root))
    calls.drop_caches()
    cold = snapshot.take(str(bed.root))
    _assert_same(warm, cold, "after dropping caches")
    _assert_bounded(bed)
    bed.remount()
    again = snapshot.take(str(bed.root))
    _assert_same(warm, again, "after a remount")
    moved = snapshot.moved_inodes(warm, again)
    assert not moved, f"st_ino changed over a remount: {sorted(moved)[:10]}"
    assert_clean(bed.layout.work)
    if bed.flavour is not TRUSTED:
        return  # the kernel cannot keep an index in a user namespace: it would show other hard links
    bed.remount("kernel")
    _assert_same(warm, snapshot.take(str(bed.root)), "for kernel overlayfs")


def _assert_same(before: snapshot.Snapshot, after: snapshot.Snapshot, when: str) -> None:
    lines = snapshot.differences(before, after)
    assert not lines, f"the tree differs {when}:\n" + "\n".join(lines[:20])


def _assert_bounded(bed: Bed) -> None:
    if bed.server is None:
        return
    calls.drop_caches()
    time.sleep(SETTLE_SECONDS)  # FORGET comes when the kernel pleases
    count = descriptors(bed.server)
    assert count <= MAX_DESCRIPTORS, f"the idle server has {count} descriptors"
    grown = resident(bed.server) - bed.memory
    assert grown <= MAX_GROWTH, f"the idle server has grown by {grown >> 20} MiB"


def assert_clean(work: Path) -> None:
    """Assert that a workdir holds nothing but an index and a template for whiteouts."""
    left = []
    for folder, folders, files in os.walk(work):
        relative = os.path.relpath(folder, work)
        if relative.split("/")[0] == "index":
            continue
        depth = 0 if relative == "." else relative.count("/") + 1
        left += [f"{relative}/{name}" for name in folders if depth > 0]
        left += [f"{relative}/{name}" for name in files if not is_whiteout(f"{folder}/{name}")]
    assert not left, f"left in {work}: {left[:10]}"


def is_whiteout(path: str) -> bool:
    """Say whether a path is a whiteout as kernel overlayfs writes it."""
    status = os.lstat(path)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
