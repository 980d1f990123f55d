"""Tables for people.

A cell is a median, its ratio to kernel overlayfs and to fuse-overlayfs, and "!" where it misses
its goal.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from lamina_benchmarks import columns as targets
from lamina_benchmarks.columns import KERNEL, PEER
from lamina_benchmarks.results import (
    Cell,
    Heading,
    Kind,
    Run,
    Target,
    common,
    cost,
    mean,
    median,
    met,
    ratio,
    served,
    spread,
    wall,
)
from lamina_benchmarks.rows import Row

NONE = "-"


def listing(rows: Sequence[Row], columns: Sequence[targets.Column]) -> str:
    """Return the rows and targets that there are, those marked that are measured if none is named."""
    lines = ["Rows"]
    lines += [f"  {row.name:15} {row.group:12} {row.title}" for row in rows]
    lines += ["Targets (* is measured if none is named)"]
    lines += [
        f"{'*' if column.name in targets.USUAL else ' '} {column.name:22} {column.about}"
        for column in columns
    ]
    return "\n".join(lines)


def pages(run: Run) -> Iterator[str]:
    """Give the lines of everything."""
    yield from (f"{name}: {value}" for name, value in run.environment.items())
    yield ""
    for placement in run.placements:
        yield from _table(run, placement, "time", wall)
        yield from _spreads(run, placement)
        yield from _table(run, placement, "processor time of client and server together", cost)
    for placement in run.placements:
        yield from _summary(run, placement)
    yield from _counts(run)
    for at, cell in run.cells.items():
        if cell.trouble:
            yield f"left out: {', '.join(at)}: {cell.trouble}"
    yield from (f"left out: {reason}" for reason in run.left_out)


def aligned(lines: list[list[str]]) -> Iterator[str]:
    """Give lines of words as columns: the first to the left, all others to the right."""
    widths = [max(len(line[at]) for line in lines if at < len(line)) for at in range(max(map(len, lines)))]
    for line in lines:
        words = [f"{line[0]:{widths[0]}}"]
        words += [f"{word:>{width}}" for word, width in zip(line[1:], widths[1:], strict=False)]
        yield "  ".join(words).rstrip()


def _table(run: Run, placement: str, what: str, kind: Kind) -> Iterator[str]:
    yield f"{what}, {placement}: median; times kernel overlayfs / times fuse-overlayfs; ! misses its goal"
    names = [column.name for column in run.columns]
    lines = [["", *names, "goal root", "goal user"]]
    for row in run.rows:
        if row.compared or kind is wall:
            cells = [_cell(run, row, placement, column, kind) for column in run.columns]
            if any(cell != NONE for cell in cells):
                lines.append([row.title, *cells, _goal(row, "root"), _goal(row, "user")])
    lines.append(["geometric mean of the ratios", *(_means(run, placement, name, kind) for name in names)])
    yield from aligned(lines)
    if kind is wall:
        yield from _elsewhere(run, placement)
    yield ""


def _elsewhere(run: Run, placement: str) -> Iterator[str]:
    """Say which rows have been measured, but not at a placement, and where."""
    titles: dict[str, list[str]] = {}
    for row in run.rows:
        where = [other for other in run.placements if _measured(run, row, other)]
        if where and placement not in where:
            titles.setdefault(", ".join(where), []).append(row.title)
    for others, rows in titles.items():
        yield f"measured {others} alone: {'; '.join(rows)}"


def _measured(run: Run, row: Heading, placement: str) -> bool:
    return any((row.name, placement, column.name) in run.cells for column in run.columns)


def _cell(run: Run, row: Heading, placement: str, column: Target, kind: Kind) -> str:
    at = (row.name, placement, column.name)
    value = median(run.cells.get(at), kind)
    if value is None:
        return NONE
    bases = {KERNEL: (), PEER: (KERNEL,)}.get(column.name, (KERNEL, PEER))
    ratios = [ratio(run, at, base, kind) for base in bases]
    mark = "!" if met(run, row, placement, column, kind) is False else ""
    return f"{mark}{value:.1f} {'/'.join(map(_ratio, ratios))}".rstrip()


def _ratio(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _goal(row: Heading, who: str) -> str:
    if row.limit:
        return f"{row.limit:g} {row.unit}"
    pair = row.goals.get(who)
    return f"{pair[0]:g}/{pair[1]:g}" if pair else ""


def _means(run: Run, placement: str, column: str, kind: Kind) -> str:
    bases = {KERNEL: (), PEER: (KERNEL,)}.get(column, (KERNEL, PEER))
    return "/".join(_ratio(mean(run, placement, column, base, kind)) for base in bases)


def _spreads(run: Run, placement: str) -> Iterator[str]:
    """Give the least and the greatest sample of each cell."""
    if run.samples < 2:
        return
    yield f"spread of the times, {placement}: least to greatest sample"
    lines = [["", *(column.name for column in run.columns)]]
    for row in run.rows:
        ends = [spread(run.cells.get((row.name, placement, column.name))) for column in run.columns]
        if any(ends):
            lines.append([row.title, *(f"{pair[0]:.1f}-{pair[1]:.1f}" if pair else NONE for pair in ends)])
    yield from aligned(lines)
    yield ""


def _summary(run: Run, placement: str) -> Iterator[str]:
    """Give each column in one line."""
    fuse = [column.name for column in run.columns if column.kind in ("lamina", "fuse-overlayfs")]
    rows = common(run, placement, fuse)
    yield f"summary, {placement}: geometric means, the row that is worst beside fuse-overlayfs, and what the"
    yield f"servers took: processor time of the {len(rows)} rows that all have, memory"
    heads = ["goals met", "x kernel", "x fuse-overlayfs", "at worst", "CPU s", "peak RSS MiB", "peak PSS MiB"]
    lines = [["", *heads]]
    for column in run.columns:
        verdicts = [met(run, row, placement, column) for row in run.rows]
        known = [verdict for verdict in verdicts if verdict is not None]
        means = [_ratio(mean(run, placement, column.name, base)) for base in (KERNEL, PEER)]
        line = [column.name, f"{sum(known)} of {len(known)}" if known else NONE, *means]
        line.append(_worst(run, placement, column.name))
        if column.name in fuse:
            line += _taken([run.cells[row.name, placement, column.name] for row in rows])
        lines.append(line)
    yield from aligned(lines)
    yield ""


def _taken(cells: list[Cell]) -> list[str]:
    """Give what a server took over some rows."""
    if not cells:
        return [NONE] * 3
    seconds = sum(statistics.median(served(cell) or [0.0]) for cell in cells) / 1000
    rss, pss = (max(getattr(cell, name) for cell in cells) for name in ("rss_kib", "pss_kib"))
    return [f"{seconds:.2f}", f"{rss / 1024:.1f}", f"{pss / 1024:.1f}"]


def _worst(run: Run, placement: str, column: str) -> str:
    """Return the greatest ratio to fuse-overlayfs, and whose it is."""
    places = [(row.name, placement, column) for row in run.rows if row.compared]
    known = [(value, at[0]) for at in places if (value := ratio(run, at, PEER))]
    return "{:.2f} {}".format(*max(known)) if known and column != PEER else NONE


def _counts(run: Run) -> Iterator[str]:
    """Give what was counted: requests, system calls, bytes on uppers."""
    yield "counted: requests [for each operation], system calls of the server, MiB that reached the upper"
    for row in run.rows:
        lines = list(_counted(run, row))
        if lines:
            yield row.title
            yield from lines
    yield ""


def _counted(run: Run, row: Heading) -> Iterator[str]:
    for column in run.columns:
        cells = [run.cells.get((row.name, placement, column.name)) for placement in run.placements]
        found = next((cell for cell in cells if cell and (cell.requests or cell.syscalls)), None)
        if found is None:
            continue
        parts = [_amounts("requests", found.requests, row), _amounts("system calls", found.syscalls, row)]
        parts.append(f"{found.upper_bytes / (1 << 20):.1f} MiB")
        yield f"  {column.name:22} " + "; ".join(part for part in parts if part)


def _amounts(what: str, counts: dict[str, int], row: Heading) -> str:
    if not counts:
        return ""
    total = sum(counts.values())
    each = f" [{total / row.operations:.2f}]" if row.operations else ""
    largest = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:6]
    return f"{total}{each} {what}: " + ", ".join(f"{name} {count}" for name, count in largest)
