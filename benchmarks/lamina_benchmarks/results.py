"""A finished run: what was measured, and the arithmetic on it.

A run is plain data, so that one read back from JSON is worth as much as one just taken: tables
and plots are made from either.  A ratio compares medians of one row at one placement within one run.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lamina_benchmarks.columns import KERNEL, PEER

Place = tuple[str, str, str]  # row, placement, column
Kind = Callable[["Cell"], list[float]]


@dataclass(slots=True)
class Cell:
    """All samples of one row in one column at one placement.

    'server_ms' and 'client_ms' are processor time: what others on the machine do hardly shows in it.
    'rss_kib' and 'pss_kib' are the most that the server had in any sample.
    """

    values: list[float] = field(default_factory=list)
    server_ms: list[float] = field(default_factory=list)
    client_ms: list[float] = field(default_factory=list)
    upper_bytes: int = 0
    rss_kib: int = 0
    pss_kib: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    syscalls: dict[str, int] = field(default_factory=dict)
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """A row, for those who read results.

    'goals' maps "root" and "user" to (times kernel, times fuse-overlayfs); 'limit' is an absolute one.
    'series' and 'x' place the row on a curve ("layers", 32).
    """

    name: str
    title: str
    group: str
    unit: str = "ms"
    operations: int = 0
    goals: dict[str, tuple[float, float]] = field(default_factory=dict)
    limit: float = 0.0
    series: str = ""
    x: int = 0

    @property
    def compared(self) -> bool:
        """Say whether the value is one whose ratios count: the time of some work."""
        return not self.limit


@dataclass(frozen=True, slots=True)
class Target:
    """A column, for those who read results."""

    name: str
    kind: str
    goal: str = ""
    about: str = ""


@dataclass(slots=True)
class Run:
    """Everything that a run found."""

    environment: dict[str, str | int | float]
    placements: list[str]
    samples: int
    columns: list[Target]
    rows: list[Heading]
    cells: dict[Place, Cell] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def wall(cell: Cell) -> list[float]:
    """Return the samples of a cell's value."""
    return cell.values


def cost(cell: Cell) -> list[float]:
    """Return the samples of the processor time that client and server took together."""
    servers = cell.server_ms or [0.0] * len(cell.client_ms)
    return [ours + theirs for ours, theirs in zip(cell.client_ms, servers, strict=True)]


def served(cell: Cell) -> list[float]:
    """Return the samples of the server's processor time."""
    return cell.server_ms


def median(cell: Cell | None, kind: Kind = wall) -> float | None:
    """Return the middle of a cell's samples."""
    samples = kind(cell) if cell is not None and not cell.trouble else []
    return statistics.median(samples) if samples else None


def spread(cell: Cell | None, kind: Kind = wall) -> tuple[float, float] | None:
    """Return the least and the greatest of a cell's samples."""
    samples = kind(cell) if cell is not None and not cell.trouble else []
    return (min(samples), max(samples)) if samples else None


def ratio(run: Run, at: Place, base: str, kind: Kind = wall) -> float | None:
    """Return how a cell's median relates to that of another column."""
    row, placement, column = at
    ours = median(run.cells.get((row, placement, column)), kind)
    theirs = median(run.cells.get((row, placement, base)), kind)
    return ours / theirs if ours is not None and theirs else None


def goal(row: Heading, column: Target, base: str) -> float | None:
    """Return the greatest ratio to a base that a row allows a column."""
    pair = row.goals.get(column.goal)
    return None if pair is None else pair[0 if base == KERNEL else 1]


def met(run: Run, row: Heading, placement: str, column: Target, kind: Kind = wall) -> bool | None:
    """Return whether a column keeps a row's goals; None where there is none, or nothing to compare."""
    at = (row.name, placement, column.name)
    if row.limit and column.goal:
        value = median(run.cells.get(at))
        return None if value is None else value <= row.limit
    goals = row.goals.get(column.goal)
    ratios = [ratio(run, at, base, kind) for base in (KERNEL, PEER)]
    if goals is None or None in ratios:
        return None
    return all(value is not None and value <= wanted for value, wanted in zip(ratios, goals, strict=True))


def mean(run: Run, placement: str, column: str, base: str, kind: Kind = wall) -> float | None:
    """Return the geometric mean of a column's ratios to a base over all rows that have both."""
    places = [(row.name, placement, column) for row in run.rows if row.compared]
    ratios = [value for at in places if (value := ratio(run, at, base, kind))]
    return statistics.geometric_mean(ratios) if ratios else None


def common(run: Run, placement: str, columns: Iterable[str]) -> list[Heading]:
    """Return the rows that all of some columns have measured."""
    names = list(columns)
    return [
        row
        for row in run.rows
        if row.compared and all(median(run.cells.get((row.name, placement, name))) for name in names)
    ]


def as_json(run: Run) -> dict[str, object]:
    """Return everything, raw samples included, as values of JSON."""
    document: dict[str, object] = {
        "format": FORMAT,
        "environment": run.environment,
        "placements": run.placements,
        "samples": run.samples,
        "columns": [dataclasses.asdict(column) for column in run.columns],
        "rows": [dataclasses.asdict(row) for row in run.rows],
        "left_out": run.left_out,
    }
    document["cells"] = [
        {"row": row, "placement": placement, "column": column, "median": median(cell)}
        | dataclasses.asdict(cell)
        for (row, placement, column), cell in run.cells.items()
    ]
    return document


FORMAT = "lamina-bench-1"
