"""Do a scene on fresh layers, with trouble at a named instant, and judge what is left."""

import contextlib
import errno
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.crash import trace
from tests.crash.scenes import Scene
from tests.differential import snapshot
from tests.differential.drivers import DRIVERS, TRUSTED, FuseMount, Layout
from tests.differential.objects import Fields
from tests.load.bed import assert_clean
from tests.support import mounts

STUCK_SECONDS = 15.0
GONE = {"ENOTCONN", "ECONNABORTED", "EIO"}
Tree = dict[str, Fields]


class Trial:
    """Fresh layers over a shared lower."""

    def __init__(self, driver: str, base: Path, lower: Path, name: str) -> None:
        self.driver = driver
        self.base = base / name
        folders = [self.base / part for part in ("upper", "work", "merged")]
        for folder in folders:
            folder.mkdir(parents=True)
        self.layout = Layout((lower,), *folders)
        self.root = str(self.layout.merged)

    def mount(self) -> FuseMount:
        """Mount with the driver under test."""
        mount = DRIVERS[self.driver].mount(self.layout, TRUSTED)
        assert isinstance(mount, FuseMount), f"{self.driver} has no server"
        return mount

    def tree(self) -> Tree:
        """Take the tree; times of directories are not part of "old or new"."""
        objects = snapshot.take(self.root).objects
        for fields in objects.values():
            if fields["type"] == "dir":
                del fields["mtime"]
        return objects

    def discard(self) -> None:
        """Remove the layers."""
        for entry in reversed(mounts.below(self.base)):
            mounts.detach(entry)
        shutil.rmtree(self.base, ignore_errors=True)


@contextlib.contextmanager
def watched(base: Path) -> Iterator[None]:
    """Abort all connections below `base` if the body hangs."""
    stop = threading.Event()

    def watch() -> None:
        if not stop.wait(STUCK_SECONDS):
            for entry in mounts.below(base):
                mounts.abort(entry)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def rehearse(trial: Trial, scene: Scene, calls: str) -> tuple[Tree, Tree, list[str]]:
    """Do the scene without trouble: the tree before, the tree after, the instants between."""
    log = trial.base / "strace"
    mount = trial.mount()
    with watched(trial.base):
        scene.before(trial.root)
        before = trial.tree()
        with trace.recording(mount.server.pid, log, calls):
            scene.act(trial.root)
        after = trial.tree()
    mount.unmount()
    return before, after, trace.instants(log)


def suffer(trial: Trial, scene: Scene, instant: str, how: str) -> str:
    """Do the scene with trouble; returns the errno that the caller got, or ""."""
    mount = trial.mount()
    errno_name = ""
    with watched(trial.base):
        scene.before(trial.root)
        with trace.meddling(mount.server.pid, instant, how):
            try:
                scene.act(trial.root)
            except OSError as exc:
                errno_name = errno.errorcode.get(exc.errno or 0, str(exc))
            if errno_name in GONE and how == "kill":
                mount.server.wait(5)
    if how == "kill":
        bury(mount)
    else:
        _survive(mount)
    return errno_name


def bury(mount: FuseMount) -> None:
    """Take away what a killed server left mounted."""
    mount.server.kill()
    mount.server.wait(5)
    entry = mounts.at(mount.merged)
    if entry is not None:
        mounts.detach(entry)


def _survive(mount: FuseMount) -> None:
    """Unmount a server that must have lived through an error."""
    if mount.server.poll() is not None:
        raise AssertionError(f"the server ended with status {mount.server.returncode}: {mount.words()}")
    try:
        mount.unmount()
    except RuntimeError as exc:
        raise AssertionError(str(exc)) from exc


def judge(trial: Trial, good: dict[str, Tree]) -> str:
    """Mount again, by our driver and by the kernel; returns which of the `good` trees it is."""
    mount = trial.mount()
    with watched(trial.base):
        found = trial.tree()
    mount.unmount()
    assert_clean(trial.layout.work)
    state = next((name for name, tree in good.items() if tree == found), None)
    if state is None:
        raise AssertionError("neither old nor new:\n" + "\n".join(_lines(good, found)))
    kernel = DRIVERS["kernel"].mount(trial.layout, TRUSTED)
    seen = trial.tree()
    kernel.unmount()
    if seen != found:
        raise AssertionError(
            "kernel overlayfs sees something else:\n" + "\n".join(_lines({"ours": found}, seen))
        )
    return state


def _lines(good: dict[str, Tree], found: Tree) -> list[str]:
    lines: list[str] = []
    for name, tree in good.items():
        lines.extend(
            f"  {path!r}: {name} {tree.get(path)}, found {found.get(path)}"
            for path in sorted(tree.keys() | found.keys())
            if tree.get(path) != found.get(path)
        )
    return lines[:20]
