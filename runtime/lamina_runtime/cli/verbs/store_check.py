"""`lamina store check`."""

from __future__ import annotations

from lamina_runtime.cli import output, progress
from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine
    from lamina_runtime.store.problem import Problem

COMMAND = Command(
    ("store check",),
    "[OPTIONS]",
    "Check the store against its checksums",
    flags=(
        Flag("full", "Compare every digest, not only the fast checksums"),
        Flag("format", "How to tell problems: 'json', an object a line", kind=STRING),
        Flag("quiet", "Show no progress", short="q"),
    ),
    own=True,
)
NAME = "store"


def run(parsed: Parsed, engine: Engine) -> int:
    """Read everything, tell what is wrong."""
    from lamina_runtime.errors import IntegrityError, UsageError

    form = parsed.text("format")
    if form not in ("", "json"):
        raise UsageError(f"--format: 'json' expected, not '{form}'")
    with progress.make(quiet=parsed.switch("quiet")) as shown:
        shown.start(NAME, None, "Checking")
        problems = engine.store.check(
            full=parsed.switch("full"), progress=lambda _what, _done, _total: shown.advance(NAME, 1)
        )
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        shown.done(NAME, count if problems else "Checked")
    for problem in problems:
        output.line(_line(problem, as_json=form == "json"))
    if problems:
        raise IntegrityError(f"the store has {count}")
    return 0


def _line(problem: Problem, *, as_json: bool) -> str:
    if as_json:
        from lamina_runtime.oci import json

        return json.dump_own({"kind": problem.kind, "what": problem.what, "text": problem.text})
    return output.plain(f"{problem.kind} {problem.what}: {problem.text}")
