"""`lamina doctor`."""

from __future__ import annotations

from lamina_runtime.cli import output
from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("doctor",),
    "[OPTIONS]",
    "Try what containers need of this host, say what is missing and what would mend it",
    flags=(Flag("format", "Format output: 'table' or 'json'", kind=STRING),),
    own=True,
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Climb the ladder, show every rung."""
    from lamina_runtime.engine.ladder import Ladder
    from lamina_runtime.errors import UsageError

    form = parsed.text("format") or "table"
    if form not in ("table", "json"):
        raise UsageError(f"unknown format: {form}")
    rungs = list(Ladder(engine.root).climb())
    if form == "json":
        import json

        names = ("name", "found", "detail", "means", "fix")
        rows = [{name: getattr(rung, name) for name in names} for rung in rungs]
        output.line(json.dumps(rows, ensure_ascii=False, indent=1))
        return 0
    width = max(len(rung.name) for rung in rungs)
    for rung in rungs:
        output.line(f"{'ok  ' if rung.found else 'no  '}{rung.name:<{width}}  {output.plain(rung.detail)}")
        if not rung.found:
            output.line(f"    {'':<{width}}  without it: {rung.means}")
            output.line(f"    {'':<{width}}  to mend:    {rung.fix}")
    return 0
