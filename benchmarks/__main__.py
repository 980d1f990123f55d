"""`python -m benchmarks`: measure and print; see --help.

All runs in a mount namespace of our own: nothing is left mounted, whatever happens, and the
mounts of others are not held open by it.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from pathlib import Path

from benchmarks import bed, environment, mounting, report, rows, sampling
from benchmarks.columns import COLUMNS, USUAL

STARTED = time.monotonic()
INSIDE = "LAMINA_BENCH_INSIDE"
# The mounts of others are given up first: a namespace that is made later would keep their servers alive.
ENTER = """
grep -E ' - (fuse|fuse\\.[^ ]*|overlay) ' /proc/self/mountinfo | cut -d' ' -f5 | tac | while read -r at; do
	umount -l "$at" 2>/dev/null
done
exec "$@"
"""


def main() -> int:
    """Measure what the command line asks for."""
    arguments = _parser().parse_args()
    if os.geteuid() != 0:
        print("The benchmark mounts kernel overlayfs and tmpfs; run it as root.", file=sys.stderr)
        return 1
    if INSIDE not in os.environ:
        words = ["unshare", "--mount", "--propagation=private", "sh", "-c", ENTER, "sh"]
        os.execvpe(words[0], [*words, *_again()], os.environ | {INSIDE: "1"})
    plan = _plan(arguments)
    if not plan.rows or not plan.columns:
        print("nothing to measure", file=sys.stderr)
        return 2
    facts = environment.describe(shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]))
    with bed.opened() as made:
        results = sampling.run(plan, made, _progress)
    _progress("")
    print("\n".join(f"{name}: {value}" for name, value in facts.items()), end="\n\n")
    print("\n".join(report.tables(plan, results)))
    if arguments.json:
        document = report.as_json(plan, results, facts)
        arguments.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less work a row, 2 samples, pinned only")
    parser.add_argument(
        "--rows", metavar="NAME,...", help=", ".join(row.name for row in rows.table(rows.FULL))
    )
    parser.add_argument("--targets", metavar="NAME,...", help="all, or of: " + ", ".join(COLUMNS))
    parser.add_argument("--placement", choices=(*sampling.PLACEMENTS, "both"))
    parser.add_argument("--samples", type=int, metavar="N", help="of each row and target (7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write raw samples and all else to FILE")
    return parser


def _again() -> list[str]:
    return [sys.executable, "-m", "benchmarks", *sys.argv[1:]]


def _plan(arguments: argparse.Namespace) -> sampling.Plan:
    table = rows.table(rows.QUICK if arguments.quick else rows.FULL)
    wanted = _chosen(arguments.rows, [row.name for row in table])
    names = list(COLUMNS) if arguments.targets == "all" else _chosen(arguments.targets, list(COLUMNS), USUAL)
    columns = []
    for name in names:
        reason = mounting.missing(COLUMNS[name])
        if reason is None:
            columns.append(COLUMNS[name])
        else:
            print(f"left out: {name}: {reason}", file=sys.stderr)
    placement = arguments.placement or ("pinned" if arguments.quick else "both")
    placements = sampling.PLACEMENTS if placement == "both" else (placement,)
    samples = arguments.samples or (2 if arguments.quick else 7)
    return sampling.Plan([row for row in table if row.name in wanted], columns, placements, samples)


def _chosen(text: str | None, known: list[str], usual: tuple[str, ...] = ()) -> list[str]:
    """Return the known names that a list has; the start of a name with "*" stands for all of them."""
    if text is None:
        return list(usual or known)
    parts = [part for part in text.split(",") if part]
    for part in parts:
        if not any(_matches(part, name) for name in known):
            raise SystemExit(f"unknown: {part}; known: {', '.join(known)}")
    return [name for name in known if any(_matches(part, name) for part in parts)]


def _matches(part: str, name: str) -> bool:
    return name.startswith(part[:-1]) if part.endswith("*") else name == part


def _progress(text: str) -> None:
    end, start = ("", "\r\033[K") if sys.stderr.isatty() else ("\n", "")
    print(f"{start}{time.monotonic() - STARTED:5.0f} s  {text[:100]}", end=end, file=sys.stderr, flush=True)


sys.exit(main())
