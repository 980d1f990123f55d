"""Print the conformance table: cases by targets.

    python -m tests.conformance.table [pytest options]     run the suite and print the table
    pytest tests/conformance --conformance-table FILE      run the suite and write the table

A cell sums up the placements and file systems of a case: `✓` all pass, `✗` one fails, `d` differs
as docs/conformance.md says, `-` not had on this machine, blank where it does not apply.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_MARKS = {"failed": "✗", "deviates": "d", "passed": "✓", "skipped": "-"}  # worst first


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one cell; 'text' is the last line of a failure."""

    target: str
    placement: str
    theme: str
    case: str
    outcome: str
    text: str = ""


def parse(nodeid: str, outcome: str, text: str) -> Result | None:
    """Read a cell's place from a test's name; None for other tests."""
    where, bracket, cell = nodeid.rstrip("]").partition("[")
    if not bracket:
        return None
    parts = cell.split("/")
    if len(parts) == 4:
        target, placement, theme, case = parts
        return Result(target, placement, theme, case, outcome, text)
    if "test_stacks" in where:
        target = _longest_target(cell)
        case = where.rpartition("::test_")[2] + cell.removeprefix(target).replace("-", " ", 1)
        return Result(target, "own", "stack", case.rstrip(), outcome, text)
    return None


def _longest_target(cell: str) -> str:
    from tests.support.targets import TARGETS

    return max((name for name in TARGETS if cell.startswith(name)), key=len, default=cell)


def failure(longrepr: str) -> str:
    """Return the line of a traceback that says what is wrong."""
    lines = [line.strip() for line in longrepr.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def markdown(results: Iterable[Result]) -> Iterator[str]:
    """Render results as one Markdown table."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    targets: dict[str, None] = {}
    for result in results:
        targets[result.target] = None
        row = cells.setdefault((result.theme, result.case), {})
        outcomes = list(_MARKS)
        worst = min(row.get(result.target, "skipped"), result.outcome, key=outcomes.index)
        row[result.target] = worst
    columns = _ordered(targets)
    yield "| case | " + " | ".join(columns) + " |"
    yield "|---|" + "---|" * len(columns)
    for (theme, case), row in cells.items():
        marks = [_MARKS[row[name]] if name in row else "" for name in columns]
        yield f"| {theme}: {case.replace('_', ' ')} | " + " | ".join(marks) + " |"
    for mark, what in (("✗", "failed"), ("d", "deviates"), ("✓", "passed")):
        counts = [sum(row.get(name) == what for row in cells.values()) for name in columns]
        yield f"| **{mark}** | " + " | ".join(map(str, counts)) + " |"


def _ordered(targets: Iterable[str]) -> list[str]:
    from tests.support.targets import TARGETS

    known = list(targets)
    return [name for name in TARGETS if name in known]


def main(arguments: list[str]) -> int:
    """Run the suite and print its table."""
    with tempfile.TemporaryDirectory() as top:
        out = Path(top) / "table.md"
        argv = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            str(Path(__file__).parent),
            f"--conformance-table={out}",
        ]
        status = subprocess.run([*argv, *arguments], stdout=sys.stderr, check=False).returncode
        if out.exists():
            sys.stdout.write(out.read_text())
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
