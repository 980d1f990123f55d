"""The interleaved runs: one sample of each column in turn, then the next round.

What disturbs the machine so disturbs all columns.  Counts of requests and of system calls are
taken in passes of their own, since asking for them disturbs.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lamina_benchmarks import client, mounting, placements, server
from lamina_benchmarks.bed import Bed, UnavailableError
from lamina_benchmarks.columns import Column
from lamina_benchmarks.results import Cell, Run, Target
from lamina_benchmarks.rows import Row
from lamina_benchmarks.rows.files import nothing

ATTEMPTS = 2
MOST_TRACED = 20_000  # operations; each of a traced server's calls takes some 50 us
Ready = tuple[mounting.Union, list[str], Path]
Progress = Callable[[str, str], None]  # what begins, and where in it we are


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run."""

    rows: Sequence[Row]
    columns: Sequence[Column]
    placements: Sequence[str]
    samples: int
    counts: bool = True
    syscalls: bool = False


def prepare(plan: Plan, bed: Bed, run: Run, progress: Progress) -> Plan:
    """Make what the rows need and try each column; return the plan of what can be measured."""
    client.build()
    columns = []
    for column in plan.columns:
        progress("preparing", column.name)
        reason = mounting.missing(column) or _tried(column, bed)
        if reason is None:
            columns.append(column)
        else:
            run.left_out.append(f"{column.name}: {reason}")
    rows = []
    for row in plan.rows:
        progress("preparing", row.title)
        reason = _made(row, bed)
        if reason is None:
            rows.append(row)
        else:
            run.left_out.append(f"{row.name}: {reason}")
    run.columns = [Target(column.name, column.kind, column.goal, column.about) for column in columns]
    return Plan(rows, columns, plan.placements, plan.samples, plan.counts, plan.syscalls)


def measure(plan: Plan, bed: Bed, run: Run, progress: Progress) -> None:
    """Take all samples into a run, row by row."""
    for number, row in enumerate(plan.rows, 1):
        run.rows.append(row.heading())
        columns = [column for column in plan.columns if _applies(row, column)]
        where = plan.placements[:1] if row.once else plan.placements
        for placement in where:
            for column in columns:
                run.cells[row.name, placement, column.name] = Cell()
        for sample in range(1 if row.once else plan.samples):
            for placement in where:
                with placements.disturbed(placement):
                    for column in columns:
                        at = f"{sample + 1}/{plan.samples} {placement} {column.name}"
                        progress(f"{number}/{len(plan.rows)} {row.title}", at)
                        _attempt(run.cells[row.name, placement, column.name], row, column, placement, bed)
        for column in columns:
            progress(f"{number}/{len(plan.rows)} {row.title}", f"counts {column.name}")
            _count(run.cells[row.name, where[0], column.name], row, column, bed, plan)


def _tried(column: Column, bed: Bed) -> str | None:
    """Mount a column once; return why that fails, or None."""
    if column.kind == "bare":
        return None
    try:
        with bed.upper("tmpfs") as top:
            argv = mounting.command(column, nothing(bed), top)
            with mounting.mounted(column, argv, top / "m", []) as union:
                client.run([*union.prefix, str(client.build()), "walk", str(union.at)])
    except (client.FailedError, OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None


def _made(row: Row, bed: Bed) -> str | None:
    """Make what a row works on; return why that cannot be had, or None."""
    ids = Path("/proc/self/uid_map").read_text(encoding="ascii").split()
    if sum(map(int, ids[2::3])) < row.ids:
        return "needs more user ids than there are in this namespace"
    try:
        row.lowers(bed)
        row.places()
    except (UnavailableError, client.FailedError, OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None


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
            _take(cell, row, column, bed, placements.words(placement))
        except (client.FailedError, OSError, subprocess.SubprocessError) as error:
            if attempt == ATTEMPTS - 1 or isinstance(error, client.TooSlowError):
                cell.trouble = str(error)
        else:
            return


@contextlib.contextmanager
def _ready(row: Row, column: Column, bed: Bed, pin: list[str]) -> Iterator[Ready]:
    """Give the mounted union, the command line of the work, and the directory of its upper."""
    lowers = row.lowers(bed)
    with bed.upper(row.upper) as top, contextlib.ExitStack() as stack:
        if row.steady:
            client.run(_words(row.steady, row, lowers, top / "m", []))
        if row.upper != "tmpfs":
            os.sync()
        if column.kind == "bare":
            at = Path(lowers[0]) if row.bare == "lower" else top / "m"
            union = mounting.Union(at, pin, None, 0)
        else:
            further = ("volatile",) if row.volatile and column.kind != "fuse-overlayfs" else ()
            argv = mounting.command(column, lowers, top, further)
            union = stack.enter_context(mounting.mounted(column, argv, top / "m", pin))
        for words in row.before:
            client.run(_words(words, row, lowers, union.at, union.prefix))
        yield union, _words(row.work, row, lowers, union.at, union.prefix) if row.work else [], top


def _take(cell: Cell, row: Row, column: Column, bed: Bed, pin: list[str]) -> None:
    """Take one sample."""
    with _ready(row, column, bed, pin) as (union, argv, top):
        used, busy = bed.used(top), server.cpu_ns(union.pid) if union.pid else 0
        spent = client.run(argv) if argv else None
        if spent:
            cell.client_ms.append(spent.cpu_ns / 1e6)
            if union.pid:
                cell.server_ms.append((server.cpu_ns(union.pid) - busy) / 1e6)
        if union.pid:
            cell.rss_kib = max(cell.rss_kib, server.high_kib(union.pid))
            cell.pss_kib = max(cell.pss_kib, server.proportional_kib(union.pid))
        cell.upper_bytes = max(0, bed.used(top) - used)
        cell.values.append(spent.ns / 1e6 if spent else _of_mount(row, union))


def _count(cell: Cell, row: Row, column: Column, bed: Bed, plan: Plan) -> None:
    """Do the work once more to count requests and, if asked, the server's system calls."""
    traced = plan.syscalls and 0 < row.operations <= MOST_TRACED and column.kind != "overlay"
    asked = plan.counts and column.ours
    if cell.trouble or not row.work or row.once or column.kind == "bare" or not (traced or asked):
        return
    try:
        with _ready(row, column, bed, []) as (union, argv, _), contextlib.ExitStack() as stack:
            before = server.requests(union.at, union.prefix) if asked else {}
            if traced and union.pid:
                stack.enter_context(server.counted(union.pid, cell.syscalls))
            client.run(argv)
            stack.close()
            if asked:
                cell.requests = server.difference(server.requests(union.at, union.prefix), before)
    except (client.FailedError, OSError, subprocess.SubprocessError) as error:
        cell.trouble = f"counting: {error}"


def _of_mount(row: Row, union: mounting.Union) -> float:
    if row.value == "start":
        return union.start_ns / 1e6
    return server.resident_kib(union.pid) / 1024 if union.pid else 0.0


def _words(words: Sequence[str], row: Row, lowers: Sequence[Path], at: Path, prefix: list[str]) -> list[str]:
    places = {"m": str(at), "l": str(lowers[0])}
    if any("{" in word for word in words):
        places |= row.places()
    return [*prefix, str(client.build()), *(word.format(**places) if "{" in word else word for word in words)]
