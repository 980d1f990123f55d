"""Two sides, one sequence of operations: where the comparison happens.

Besides the operations of `operations` a sequence may hold, as steps of the session itself:
`("check",)` compare both trees; `("remount",)` unmount and mount both, trees and inode numbers
must live through it; `("swap",)` exchange uppers between the drivers; `("drop_caches",)`.
"""

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.differential import calls, deviations, snapshot
from tests.differential import handles as _handles  # noqa: F401 - enters its verbs
from tests.differential.drivers import Driver, Flavour, Layout, Mounted
from tests.differential.operations import Op, Outcome, Tree, perform
from tests.support import mounts

STUCK_SECONDS = 30.0  # an operation that takes longer hangs


class Difference(AssertionError):
    """The two sides disagree; str() says where, `signature` what kind it is (for shrinking)."""

    def __init__(self, text: str, signature: str) -> None:
        super().__init__(text)
        self.signature = signature


def _kind(outcome: Outcome) -> str:
    """Sort outcomes roughly, so that shrinking does not wander off to another difference."""
    word, value = outcome
    return str(value) if word == "errno" else word


def _line_kind(line: str) -> str:
    """Sort a line of a tree comparison by the field that differs, without paths and values."""
    return line.rsplit("': ", 1)[-1].split(":")[0]


class OracleGivesUp(Exception):
    """Kernel overlayfs cannot go on, for a reason that `deviations` knows."""


@dataclass
class Side:
    """A driver, the upper it works on now, and what is open on its mount."""

    driver: Driver
    layout: Layout
    tree: Tree
    mount: Mounted | None = None


@dataclass
class Session:
    """The state of a comparison; use `opened`."""

    oracle: Side
    target: Side
    flavour: Flavour
    steps: int = 0
    ignore: str = ""  # a regex: differences that match are known, others are wanted
    done: list[Op] = field(default_factory=list)
    progress: float = field(default_factory=time.monotonic)

    def step(self, op: Op) -> Outcome:
        """Do one operation on both sides; returns the oracle's outcome."""
        self.steps += 1
        self.done.append(op)
        self.progress = time.monotonic()
        match op:
            case ("check",):
                self.check()
            case ("remount",):
                self.remount()
            case ("swap",):
                self.swap()
            case ("drop_caches",):
                calls.drop_caches()
            case _ if deviations.unsupported(op, self.target.driver.name, self.oracle.tree.root):
                pass
            case _ if not deviations.avoided(op, self.flavour.name, self.oracle.tree.root):
                return self._both(op)
        return ("ok", None)

    def _both(self, op: Op) -> Outcome:
        expected = perform(self.oracle.tree, op)
        found = perform(self.target.tree, op)
        if expected != found and not deviations.excuse(op, expected, found):
            names = self.oracle.driver.name, self.target.driver.name
            signature = f"{deviations.inner(op)[0]} {_kind(expected)} {_kind(found)}"
            text = f"step {self.steps} {op!r}:\n  {names[0]}: {expected}\n  {names[1]}: {found}"
            if not self._ignored(f"{signature} {text}"):
                raise Difference(text, signature)
        return expected

    def _ignored(self, text: str) -> bool:
        return bool(self.ignore and re.search(self.ignore, text, re.DOTALL))

    def check(self) -> tuple[snapshot.Snapshot, snapshot.Snapshot]:
        """Compare both trees."""
        expected = snapshot.take(self.oracle.tree.root)
        found = snapshot.take(self.target.tree.root)
        lines = deviations.inexcusable(snapshot.differences(expected, found))
        lines = [line for line in lines if not self._ignored(line)]
        if lines:
            raise Difference(
                f"after step {self.steps} the trees differ:\n  " + "\n  ".join(lines[:20]),
                _line_kind(lines[0]),
            )
        return expected, found

    def remount(self) -> None:
        """Unmount and mount both; nothing may change."""
        before = self.check()
        self.unmount()
        self.mount()
        after = self.check()
        moved = snapshot.moved_inodes(before[1], after[1]) - snapshot.moved_inodes(before[0], after[0])
        if moved:
            raise Difference(
                f"after step {self.steps} remount changed st_ino of {sorted(moved)[:5]}", "st_ino moved"
            )

    def swap(self) -> None:
        """Let each driver go on with what the other wrote."""
        self.check()
        self.unmount()
        a, b = self.oracle.layout, self.target.layout
        self.oracle.layout = Layout(a.lowers, b.upper, b.work, a.merged)
        self.target.layout = Layout(b.lowers, a.upper, a.work, b.merged)
        self.mount()
        self.check()

    def mount(self) -> None:
        """Mount both sides."""
        for side in (self.oracle, self.target):
            try:
                side.mount = side.driver.mount(side.layout, self.flavour)
            except RuntimeError as exc:
                if side is self.oracle and deviations.oracle_gives_up(self.flavour.name, str(exc)):
                    raise OracleGivesUp(str(exc)) from exc
                raise Difference(
                    f"after step {self.steps} {side.driver.name} does not mount: {exc}", "mount"
                ) from exc

    def unmount(self) -> None:
        """Close all handles and unmount both sides."""
        for side in (self.oracle, self.target):
            side.tree.drop_all()
            if side.mount is not None:
                mount, side.mount = side.mount, None
                try:
                    mount.unmount()
                except RuntimeError as exc:
                    raise Difference(f"after step {self.steps} {side.driver.name}: {exc}", "unmount") from exc


def _watch(session: Session, base: Path, stop: threading.Event) -> None:
    """Abort the FUSE connections of a session that makes no progress."""
    while not stop.wait(1.0):
        if time.monotonic() - session.progress > STUCK_SECONDS:
            for entry in mounts.below(base):
                mounts.abort(entry)


@contextlib.contextmanager
def opened(
    drivers: tuple[Driver, Driver], lowers: tuple[Path, ...], base: Path, flavour: Flavour
) -> Iterator[Session]:
    """Mount `lowers` twice below `base` with empty uppers; whatever happens, nothing stays mounted."""
    sides = []
    for name, driver in zip("AB", drivers, strict=True):
        folders = [base / name / part for part in ("upper", "work", "merged")]
        for folder in folders:
            folder.mkdir(parents=True, mode=0o755)
        sides.append(Side(driver, Layout(lowers, *folders), Tree(str(folders[2]))))
    session = Session(sides[0], sides[1], flavour)
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(session, base, stop), daemon=True)
    watcher.start()
    try:
        session.mount()
        yield session
        session.unmount()
    finally:
        stop.set()
        for side in sides:
            side.tree.drop_all()
        for entry in reversed(mounts.below(base)):
            mounts.detach(entry)
