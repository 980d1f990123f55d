"""Runs that were written to files: read back with every value checked, and joined."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import stat
from pathlib import Path
from typing import Any

from lamina_benchmarks.results import FORMAT, Cell, Heading, Run, Target

LARGEST = 64 << 20


class BadFileError(Exception):
    """A file that holds no run; the text says which and why."""


def load(path: Path) -> Run:
    """Read one run."""
    try:
        document = json.loads(_text(path))
    except OSError as error:
        raise BadFileError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadFileError(f"{path}: not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BadFileError(f"{path}: not a run of lamina bench ({FORMAT})")
    try:
        return _run(document)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadFileError(f"{path}: damaged: {type(error).__name__} {error}") from error


def _text(path: Path) -> str:
    """Return what a regular file holds; nothing else has an end that can be trusted."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(file, "rb") as stream:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise BadFileError(f"{path}: not a regular file")
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise BadFileError(f"{path}: larger than any run")
    return content.decode()


def joined(runs: list[Run]) -> Run:
    """Return the runs as one: rows, columns and placements of all; of a cell that several have, the last."""
    first = runs[0]
    whole = Run(dict(first.environment), list(first.placements), first.samples, [], [])
    for run in runs:
        whole.environment |= {key: _both(whole, key, value) for key, value in run.environment.items()}
        whole.placements = list(dict.fromkeys([*whole.placements, *run.placements]))
        whole.samples = min(whole.samples, run.samples)
        whole.columns += [column for column in run.columns if column not in whole.columns]
        names = {row.name: at for at, row in enumerate(whole.rows)}
        for row in run.rows:
            if row.name in names and whole.rows[names[row.name]] != row:
                raise BadFileError(f"{row.name}: the runs did different work")
        whole.rows += [row for row in run.rows if row.name not in names]
        whole.cells |= run.cells
        whole.left_out = list(dict.fromkeys([*whole.left_out, *run.left_out]))
    return whole


def _both(whole: Run, key: str, value: str | float) -> str | float:
    known = whole.environment.get(key, value)
    return known if known == value else f"{known}; {value}"


def _run(document: dict[str, Any]) -> Run:
    run = Run(
        {str(key): _scalar(value) for key, value in document["environment"].items()},
        [str(name) for name in document["placements"]],
        int(document["samples"]),
        [Target(**_texts(entry)) for entry in document["columns"]],
        [_heading(entry) for entry in document["rows"]],
        left_out=[str(line) for line in document["left_out"]],
    )
    names = {row.name for row in run.rows}
    for entry in document["cells"]:
        place = (str(entry["row"]), str(entry["placement"]), str(entry["column"]))
        if place[0] not in names:
            raise ValueError(f"cell of an unknown row: {place[0]}")
        run.cells[place] = _cell(entry)
    return run


def _scalar(value: object) -> str | float:
    return value if isinstance(value, int | float) else str(value)


def _texts(entry: dict[str, object]) -> dict[str, str]:
    return {field.name: str(entry[field.name]) for field in dataclasses.fields(Target)}


def _heading(entry: dict[str, Any]) -> Heading:
    goals = {str(name): (_amount(pair[0]), _amount(pair[1])) for name, pair in entry["goals"].items()}
    words = {name: str(entry[name]) for name in ("name", "title", "group", "unit", "series")}
    return Heading(
        **words,
        goals=goals,
        operations=int(entry["operations"]),
        limit=_amount(entry["limit"]),
        x=int(entry["x"]),
    )


def _amount(value: Any) -> float:
    amount = float(value)
    if not math.isfinite(amount) or amount < 0:
        raise ValueError(f"{amount} is no amount")
    return amount


def _cell(entry: dict[str, Any]) -> Cell:
    def numbers(name: str) -> list[float]:
        return [_amount(value) for value in entry[name]]

    def counts(name: str) -> dict[str, int]:
        return {str(key): int(value) for key, value in entry[name].items()}

    values, server, client = numbers("values"), numbers("server_ms"), numbers("client_ms")
    if server and len(server) != len(client):
        raise ValueError(f"{len(server)} times of the server and {len(client)} of its client")
    return Cell(
        values,
        server,
        client,
        int(entry["upper_bytes"]),
        int(entry["rss_kib"]),
        int(entry["pss_kib"]),
        counts("requests"),
        counts("syscalls"),
        str(entry["trouble"]),
    )
