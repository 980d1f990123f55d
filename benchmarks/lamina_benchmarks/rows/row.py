"""One measurement, and how much work it does.

A goal is (times kernel overlayfs, times fuse-overlayfs); lower is better.  In command lines
{m} is the mount point, {l} the topmost lower; a row may name further places.  "Cold" is a fresh
mount over lowers whose pages are in memory: what is measured is the union, not the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lamina_benchmarks.bed import Bed
from lamina_benchmarks.results import Heading

Words = tuple[str, ...]
Goal = tuple[float, float]
Lowers = Callable[[Bed], Sequence[Path]]
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Scale:
    """How much work a row does."""

    quick: bool = False
    tree: int = 0  # files of the small Debian; 0: all
    created: int = 5000
    files: int = 2000
    meta_size: int = MIB
    large: int = 1 << 30
    random: int = 50000
    repository: int = 5000
    transactions: int = 1000
    names: int = 100_000
    shared: int = 4000
    layers: tuple[int, ...] = (1, 8, 32, 128, 500)
    clients: tuple[int, ...] = (1, 2, 4)
    trees: tuple[int, ...] = (1000, 10_000, 100_000, 1_000_000)


FULL = Scale()
QUICK = Scale(
    quick=True,
    tree=1500,
    created=1000,
    files=500,
    meta_size=64 << 10,
    large=64 * MIB,
    random=5000,
    repository=600,
    transactions=100,
    names=3000,
    shared=1000,
    layers=(1, 32, 128),
    clients=(1, 4),
    trees=(1000,),
)


def nowhere() -> Mapping[str, str]:
    """Return the further places of a row that has none."""
    return {}


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement.

    'steady' is run on the lower before each sample, 'before' in the mount; 'work' is what counts,
    and 'operations' how often it does what its title says.  'bare' says what stands for the mount
    without a union: "lower", "upper" (an empty directory) or nothing.  'value' is the time of
    'work', or what the mount itself has: "start", "memory".  A row that is taken 'once' has one
    sample in the first placement alone; 'ids' is how many user ids the work needs.  'volatile' asks
    the kernel and us to leave the upper's data in memory, as fuse-overlayfs does unasked.
    """

    name: str
    title: str
    group: str
    lowers: Lowers
    work: Words = ()
    before: tuple[Words, ...] = ()
    steady: Words = ()
    upper: str = "tmpfs"
    bare: str = ""
    goals: Mapping[str, Goal] = field(default_factory=dict)
    value: str = "time"
    limit: float = 0.0
    operations: int = 0
    places: Callable[[], Mapping[str, str]] = nowhere
    series: str = ""
    x: int = 0
    ids: int = 1
    quick: bool = True
    once: bool = False
    volatile: bool = False

    def heading(self) -> Heading:
        """Return what readers of results know of the row."""
        return Heading(
            self.name, self.title, self.group, "MiB" if self.value == "memory" else "ms",
            self.operations, dict(self.goals), self.limit, self.series, self.x,
        )  # fmt: skip


def both(kernel: float, peer: float) -> dict[str, Goal]:
    """Return the same goals as root and as any user."""
    return {"root": (kernel, peer), "user": (kernel, peer)}


def apart(*, root: Goal, user: Goal) -> dict[str, Goal]:
    """Return goals as root and as any user."""
    return {"root": root, "user": user}
