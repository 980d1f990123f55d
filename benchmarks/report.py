"""Medians and ratios: tables for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterator

from benchmarks.columns import KERNEL, PEER, Column
from benchmarks.rows import Row
from benchmarks.sampling import Cell, Plan, Results

TITLE = 31
WIDTH = 22


def median(cell: Cell | None) -> float | None:
    """Return the middle of a cell's samples."""
    return statistics.median(cell.values) if cell is not None and cell.values and not cell.trouble else None


def ratio(results: Results, row: Row, placement: str, column: str, base: str) -> float | None:
    """Return how a column's median relates to another's."""
    ours = median(results.get((row.name, placement, column)))
    theirs = median(results.get((row.name, placement, base)))
    return ours / theirs if ours is not None and theirs else None


def met(results: Results, row: Row, placement: str, column: Column) -> bool | None:
    """Return whether a column keeps a row's goals; None where there is none, or nothing to compare."""
    if row.limit and column.goal:
        value = median(results.get((row.name, placement, column.name)))
        return None if value is None else value <= row.limit
    goal = row.goals.get(column.goal)
    ratios = [ratio(results, row, placement, column.name, base) for base in (KERNEL, PEER)]
    if goal is None or None in ratios:
        return None
    return all(value is not None and value <= wanted for value, wanted in zip(ratios, goal, strict=True))


def tables(plan: Plan, results: Results) -> Iterator[str]:
    """Give the lines of all tables."""
    for placement in plan.placements:
        yield f"{placement}: median; times kernel overlayfs / times fuse-overlayfs; ! misses its goal"
        yield "".join(
            [f"{'':{TITLE}}", *(f"{column.name:>{WIDTH}}" for column in plan.columns), "  goal root, user"]
        )
        for row in plan.rows:
            cells = [_cell(results, row, placement, column) for column in plan.columns]
            yield "".join(
                [f"{row.title:{TITLE}}", *(f"{cell:>{WIDTH}}" for cell in cells), f"  {_goal(row)}"]
            )
        yield f"{'geometric mean of the ratios':{TITLE}}" + "".join(
            f"{_means(plan, results, placement, column):>{WIDTH}}" for column in plan.columns
        )
        yield ""
    yield from _costs(plan, results)
    for (row_name, placement, column_name), cell in results.items():
        if cell.trouble:
            yield f"left out: {row_name}, {placement}, {column_name}: {cell.trouble}"


def _cell(results: Results, row: Row, placement: str, column: Column) -> str:
    value = median(results.get((row.name, placement, column.name)))
    if value is None:
        return "-"
    ratios = [ratio(results, row, placement, column.name, base) for base in (KERNEL, PEER)]
    if column.kind == "overlay":
        ratios = []
    if column.name == PEER:
        ratios = ratios[:1]
    mark = "!" if met(results, row, placement, column) is False else ""
    compared = "/".join("-" if item is None else f"{item:.2f}" for item in ratios)
    return f"{mark}{value:.1f} {compared}".rstrip()


def _goal(row: Row) -> str:
    if row.limit:
        return f"{row.limit:g} {row.unit}"
    return ", ".join(f"{kernel:g}/{peer:g}" for kernel, peer in row.goals.values())


def _means(plan: Plan, results: Results, placement: str, column: Column) -> str:
    means = []
    for base in (KERNEL, PEER):
        found = [ratio(results, row, placement, column.name, base) for row in plan.rows if row.work]
        ratios = [value for value in found if value]
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
