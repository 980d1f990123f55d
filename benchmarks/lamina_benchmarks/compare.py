"""Two runs beside each other: what became faster.

Absolute times of two runs differ with the machine's mood; so each change is given twice, as it is
and in units of kernel overlayfs in the same run.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from lamina_benchmarks.columns import KERNEL
from lamina_benchmarks.report import NONE, aligned
from lamina_benchmarks.results import Heading, Run, median, ratio


def pages(run: Run, old: Run) -> Iterator[str]:
    """Give the lines of the comparison."""
    before = {row.name: row for row in old.rows}
    rows = [row for row in run.rows if _same(row, before.get(row.name))]
    names = [column.name for column in run.columns if column.name in {old.name for old in old.columns}]
    dropped = [row.title for row in run.rows if row not in rows]
    for placement in run.placements:
        if placement not in old.placements:
            continue
        since = f"since {old.environment.get('date')}, {placement}"
        yield f"{since}: new/old time, and the same in units of the kernel's"
        lines = [["", *names]]
        every: dict[str, list[float]] = {name: [] for name in names}
        for row in rows:
            line = [row.title]
            for name in names:
                plain, relative = change(run, old, (row.name, placement, name))
                line.append(NONE if plain is None else f"{plain:.2f} {_text(relative)}".rstrip())
                every[name] += [relative or plain] if plain and row.compared else []
            lines.append(line)
        means = [f"{statistics.geometric_mean(every[name]):.2f}" if every[name] else NONE for name in names]
        lines.append(["geometric mean", *means])
        yield from aligned(lines)
        yield ""
    if dropped:
        yield "not in the other run, or with other work: " + "; ".join(dropped)


def change(run: Run, old: Run, at: tuple[str, str, str]) -> tuple[float | None, float | None]:
    """Return by what a cell's median has changed, and by what its ratio to the kernel's."""
    new, then = median(run.cells.get(at)), median(old.cells.get(at))
    plain = new / then if new is not None and then else None
    if at[2] == KERNEL:
        return plain, None
    ratios = [ratio(each, at, KERNEL) for each in (run, old)]
    relative = ratios[0] / ratios[1] if ratios[0] and ratios[1] else None
    return plain, relative


def _same(row: Heading, other: Heading | None) -> bool:
    return other is not None and other.title == row.title and other.unit == row.unit


def _text(value: float | None) -> str:
    return "" if value is None else f"({value:.2f})"
