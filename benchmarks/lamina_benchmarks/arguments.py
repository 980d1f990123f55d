"""From words to what is asked for; every mistake is one line."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lamina_benchmarks import columns, placements, rows

ALL = "all"
MOST_SAMPLES = 1000
SAMPLES, QUICK_SAMPLES = 5, 2


class UsageError(Exception):
    """A command line that makes no sense."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a command line asks for."""

    rows: tuple[rows.Row, ...]
    columns: tuple[columns.Column, ...]
    placements: tuple[str, ...]
    samples: int
    counts: bool
    syscalls: bool
    list: bool
    json: Path | None
    plots: Path | None
    compare: Path | None
    stored: tuple[Path, ...]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def parse(argv: Sequence[str], *, rootless: bool) -> Request:
    """Return what is asked for, or raise UsageError; --help ends the program."""
    found = _parser().parse_args(argv)
    table = rows.table(rows.QUICK if found.quick else rows.FULL)
    targets = columns.table(rootless=rootless)
    usual = list(targets) if found.list else columns.USUAL
    names = _chosen(found.targets, targets, usual)
    wanted = _chosen(found.rows, [row.name for row in table])
    for path in (found.json, found.plots):
        if path and not path.absolute().parent.is_dir():
            raise UsageError(f"{path.parent}: no such directory")
    if found.plots and found.plots.exists() and not found.plots.is_dir():
        raise UsageError(f"{found.plots}: not a directory")
    return Request(
        tuple(row for row in table if row.name in wanted),
        tuple(targets[name] for name in names),
        _placements(found),
        found.samples or (QUICK_SAMPLES if found.quick else SAMPLES),
        counts=not found.no_counts,
        syscalls=found.syscalls,
        list=found.list,
        json=found.json,
        plots=found.plots,
        compare=found.compare,
        stored=tuple(found.stored or ()),
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lamina bench",
        description="Measure lamina-unionfs beside kernel overlayfs and fuse-overlayfs on this machine.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="less work a row, 2 samples, pinned only: under two minutes")
    add("--list", action="store_true", help="show rows and all targets, and measure nothing")
    add("--rows", type=_text, metavar="NAME,...", help="some rows; walk* is all that begin so")
    add(
        "--targets",
        type=_text,
        metavar="NAME,...",
        help="some targets, or all; default: as --list marks",
    )
    add(
        "--placement",
        type=_text,
        metavar="NAME,...",
        help="of pinned, free, hogs; both is the first two (default), or all",
    )
    add("--hogs", action="store_true", help="also beside two loops that never sleep")
    add("--samples", type=_count, metavar="N", help=f"of each row and target ({SAMPLES})")
    add("--no-counts", action="store_true", help="leave out the pass that counts requests")
    add("--syscalls", action="store_true", help="count the servers' system calls too (strace; slow)")
    add("--json", type=_path, metavar="FILE", help="write raw samples, counts and environment")
    add("--plots", type=_path, metavar="DIR", help="write a page of plots: index.html, SVG, PNG (matplotlib)")
    add("--compare", type=_path, metavar="OLD.json", help="show what changed since another run")
    add(
        "--from", type=_path, metavar="FILE", action="append", dest="stored",
        help="measure nothing: show a stored run, or several as one",
    )  # fmt: skip
    return parser


def _text(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("nothing is named")
    return text


def _path(text: str) -> Path:
    return Path(_text(text))


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST_SAMPLES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST_SAMPLES}")
    return int(text)


def _placements(found: argparse.Namespace) -> tuple[str, ...]:
    groups = {"both": (placements.PINNED, placements.FREE), ALL: placements.ALL}
    text = found.placement or (placements.PINNED if found.quick else "both")
    wanted = {name for part in text.split(",") for name in groups.get(part, (part,))}
    for name in sorted(wanted - set(placements.ALL)):
        raise UsageError(f"unknown placement: {name!r}; known: {', '.join((*placements.ALL, *groups))}")
    if found.hogs:
        wanted.add(placements.HOGS)
    return tuple(name for name in placements.ALL if name in wanted)


def _chosen(text: str | None, known: Iterable[str], usual: Sequence[str] = ()) -> list[str]:
    """Return the known names that a list has; the start of a name with "*" stands for all that have it."""
    names = list(known)
    if text is None:
        return [name for name in names if not usual or name in usual]
    parts = [part for part in text.split(",") if part]
    if not parts:
        raise UsageError("an empty list of names")
    for part in parts:
        if not any(_matches(part, name) for name in names):
            raise UsageError(f"unknown: {part!r}; known: {', '.join([*names, ALL])}")
    return [name for name in names if any(_matches(part, name) for part in parts)]


def _matches(part: str, name: str) -> bool:
    return name.startswith(part[:-1]) if part.endswith("*") else part in (name, ALL)
