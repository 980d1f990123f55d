"""The interleaved runs: one sample of each column in turn, then the next round."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import client, fixtures, mounting, server
from benchmarks.bed import Bed
from benchmarks.columns import Column
from benchmarks.rows import Row

PLACEMENTS = ("pinned", "free")
PIN = ["taskset", "-c", "0"]
ATTEMPTS = 2


@dataclass(slots=True)
class Cell:
    """All samples of one row in one column at one placement.

    'server_ms' and 'client_ms' are processor time: what others on the machine do hardly shows in it.
    """

    values: list[float] = field(default_factory=list)
    server_ms: list[float] = field(default_factory=list)
    client_ms: list[float] = field(default_factory=list)
    upper_bytes: int = 0
    requests: dict[str, int] = field(default_factory=dict)
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run."""

    rows: Sequence[Row]
    columns: Sequence[Column]
    placements: Sequence[str]
    samples: int


Results = dict[tuple[str, str, str], Cell]  # row, placement, column


def run(plan: Plan, bed: Bed, progress: Callable[[str], None]) -> Results:
    """Take all samples."""
    results: Results = {}
    for number, row in enumerate(plan.rows, 1):
        columns = [column for column in plan.columns if _applies(row, column)]
        for placement in plan.placements:
            for column in columns:
                results[row.name, placement, column.name] = Cell()
        for sample in range(plan.samples):
            for placement in plan.placements:
                for column in columns:
                    progress(
                        f"{number}/{len(plan.rows)} {row.title}: {sample + 1}/{plan.samples} "
                        f"{placement} {column.name}"
                    )
                    _attempt(results[row.name, placement, column.name], row, column, placement, bed)
        for column in columns:
            if row.work and column.kind == "lamina" and not column.namespace and "pyfuse3" not in column.name:
                cell = results[row.name, plan.placements[0], column.name]
                if not cell.trouble:
                    _take(cell, row, column, bed, pin=[], counting=True)
    return results


def _applies(row: Row, column: Column) -> bool:
    if column.kind == "bare":
        return bool(row.bare)
    if column.kind == "overlay":
        return row.value != "memory"
    return True


def _attempt(cell: Cell, row: Row, column: Column, placement: str, bed: Bed) -> None:
    if cell.trouble:
        return
    for attempt in range(ATTEMPTS):
        try:
            _take(cell, row, column, bed, pin=PIN if placement == "pinned" else [])
        except RuntimeError as error:
            if attempt == ATTEMPTS - 1:
                cell.trouble = str(error)
        else:
            return


def _take(cell: Cell, row: Row, column: Column, bed: Bed, *, pin: list[str], counting: bool = False) -> None:
    """Take one sample; with `counting` the requests instead of the time, since the question disturbs."""
    lowers = row.lowers(bed)
    with bed.upper(row.upper) as top, contextlib.ExitStack() as stack:
        if row.steady:
            client.run(_words(row.steady, lowers, top / "m", []))
        os.sync() if row.upper != "tmpfs" else None
        if column.kind == "bare":
            at = Path(lowers[0]) if row.bare == "lower" else top / "m"
            union = mounting.Union(at, pin, None, 0)
        else:
            argv = mounting.command(column, lowers, top)
            union = stack.enter_context(mounting.mounted(column, argv, top / "m", pin))
        for words in row.before:
            client.run(_words(words, lowers, union.at, union.prefix))
        if counting:
            before = server.requests(union.at)
            client.run(_words(row.work, lowers, union.at, union.prefix))
            cell.requests = server.difference(server.requests(union.at), before)
            return
        used, busy = bed.used(top), server.cpu_ns(union.pid) if union.pid else 0
        spent = client.run(_words(row.work, lowers, union.at, union.prefix)) if row.work else None
        if spent and union.pid:
            cell.server_ms.append((server.cpu_ns(union.pid) - busy) / 1e6)
        if spent:
            cell.client_ms.append(spent.cpu_ns / 1e6)
        cell.upper_bytes = max(0, bed.used(top) - used)
        cell.values.append(spent.ns / 1e6 if spent else _of_mount(row, union))


def _of_mount(row: Row, union: mounting.Union) -> float:
    if row.value == "start":
        return union.start_ns / 1e6
    return server.resident_kib(union.pid) / 1024 if union.pid else 0.0


def _words(words: Sequence[str], lowers: Sequence[Path], at: Path, prefix: list[str]) -> list[str]:
    places = {"m": str(at), "l": str(lowers[0])}
    if "{a}" in words:
        places["a"] = str(fixtures.archive())
    program = str(client.build())
    return [*prefix, program, *(word.format(**places) if "{" in word else word for word in words)]
