"""Medians and ratios: tables for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterator

from benchmarks.columns import KERNEL, PEER, Column
from benchmarks.rows import Row
from benchmarks.sampling import Cell, Plan, Results

Kind = Callable[[Cell], list[float]]
Place = tuple[str, str, str]  # row, placement, column
TITLE = 31
WIDTH = 22


def wall(cell: Cell) -> list[float]:
    """Return the samples of a cell's value."""
    return cell.values


def cost(cell: Cell) -> list[float]:
    """Return the samples of the processor time that client and server took together."""
    servers = cell.server_ms or [0.0] * len(cell.client_ms)
    return [ours + theirs for ours, theirs in zip(cell.client_ms, servers, strict=True)]


def median(cell: Cell | None, kind: Kind = wall) -> float | None:
    """Return the middle of a cell's samples."""
    samples = kind(cell) if cell is not None and not cell.trouble else []
    return statistics.median(samples) if samples else None


def ratio(results: Results, at: Place, base: str, kind: Kind = wall) -> float | None:
    """Return how a cell's median relates to that of another column."""
    row, placement, column = at
    ours = median(results.get((row, placement, column)), kind)
    theirs = median(results.get((row, placement, base)), kind)
    return ours / theirs if ours is not None and theirs else None


def met(results: Results, row: Row, placement: str, column: Column, kind: Kind = wall) -> bool | None:
    """Return whether a column keeps a row's goals; None where there is none, or nothing to compare."""
    at = (row.name, placement, column.name)
    if row.limit and column.goal:
        value = median(results.get(at))
        return None if value is None else value <= row.limit
    goal = row.goals.get(column.goal)
    ratios = [ratio(results, at, base, kind) for base in (KERNEL, PEER)]
    if goal is None or None in ratios:
        return None
    return all(value is not None and value <= wanted for value, wanted in zip(ratios, goal, strict=True))


def tables(plan: Plan, results: Results) -> Iterator[str]:
    """Give the lines of all tables."""
    for placement in plan.placements:
        yield from _table(plan, results, placement, "time", wall)
        yield from _table(plan, results, placement, "processor time of client and server together", cost)
    yield from _costs(plan, results)
    for at, cell in results.items():
        if cell.trouble:
            yield f"left out: {', '.join(at)}: {cell.trouble}"


def _table(plan: Plan, results: Results, placement: str, what: str, kind: Kind) -> Iterator[str]:
    yield f"{what}, {placement}: median; times kernel overlayfs / times fuse-overlayfs; ! misses its goal"
    heads = "".join(f"{column.name:>{WIDTH}}" for column in plan.columns)
    yield f"{'':{TITLE}}{heads}  goal root, user"
    for row in plan.rows:
        if row.work or kind is wall:
            cells = [_cell(results, row, placement, column, kind) for column in plan.columns]
            yield "".join(
                [f"{row.title:{TITLE}}", *(f"{cell:>{WIDTH}}" for cell in cells), f"  {_goal(row)}"]
            )
    means = "".join(f"{_means(plan, results, placement, column, kind):>{WIDTH}}" for column in plan.columns)
    yield f"{'geometric mean of the ratios':{TITLE}}{means}"
    yield ""


def _cell(results: Results, row: Row, placement: str, column: Column, kind: Kind) -> str:
    at = (row.name, placement, column.name)
    value = median(results.get(at), kind)
    if value is None:
        return "-"
    bases = {KERNEL: (), PEER: (KERNEL,)}.get(column.name, (KERNEL, PEER))
    ratios = [ratio(results, at, base, kind) for base in bases]
    mark = "!" if met(results, row, placement, column, kind) is False else ""
    compared = "/".join("-" if item is None else f"{item:.2f}" for item in ratios)
    return f"{mark}{value:.1f} {compared}".rstrip()


def _goal(row: Row) -> str:
    if row.limit:
        return f"{row.limit:g} {row.unit}"
    return ", ".join(f"{kernel:g}/{peer:g}" for kernel, peer in row.goals.values())


def _means(plan: Plan, results: Results, placement: str, column: Column, kind: Kind) -> str:
    means = []
    for base in (KERNEL, PEER):
        places = [(row.name, placement, column.name) for row in plan.rows if row.work]
        ratios = [value for at in places if (value := ratio(results, at, base, kind))]
        means.append(f"{statistics.geometric_mean(ratios):.2f}" if ratios else "-")
    return "/".join(means)


def _costs(plan: Plan, results: Results) -> Iterator[str]:
    """Give processor time of the servers, bytes on uppers, requests."""
    placement = plan.placements[0]
    yield f"{placement}: server's processor time, ms; bytes that reached the upper, MiB; requests"
    for row in plan.rows:
        if not row.work:
            continue
        yield row.title
        for column in plan.columns:
            cell = results.get((row.name, placement, column.name))
            if cell is None or not cell.values:
                continue
            spent = f"{statistics.median(cell.server_ms):9.1f}" if cell.server_ms else f"{'-':>9}"
            counts = ", ".join(f"{name} {count}" for name, count in cell.requests.items())
            yield f"  {column.name:22}{spent}{cell.upper_bytes / (1 << 20):9.1f}  {counts}".rstrip()


def as_json(plan: Plan, results: Results, environment: dict[str, object]) -> dict[str, object]:
    """Return everything, raw samples included, as values of JSON."""
    rows = []
    for row in plan.rows:
        cells = [
            {"placement": placement, "column": column, "median": median(cell), **dataclasses.asdict(cell)}
            for (name, placement, column), cell in results.items()
            if name == row.name
        ]
        rows.append(
            {"name": row.name, "title": row.title, "unit": row.unit, "goals": row.goals, "limit": row.limit,
             "cells": cells}
        )  # fmt: skip
    return {"environment": environment, "samples": plan.samples, "rows": rows}
