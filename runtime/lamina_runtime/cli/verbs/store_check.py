"""`lamina store check`."""

from __future__ import annotations

from lamina_runtime.cli import output, progress
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("store check",),
    "[OPTIONS]",
    "Check the store against its checksums",
    flags=(
        Flag("full", "Compare every digest, not only the fast checksums"),
        Flag("quiet", "Show no progress", short="q"),
    ),
    own=True,
)
NAME = "store"


def run(parsed: Parsed, engine: Engine) -> int:
    """Read everything, tell what is wrong."""
    from lamina_runtime.errors import IntegrityError

    with progress.make(quiet=parsed.switch("quiet")) as shown:
        shown.start(NAME, None, "Checking")
        problems = engine.store.check(
            full=parsed.switch("full"), progress=lambda _what, _done, _total: shown.advance(NAME, 1)
        )
        shown.done(NAME, "Checked")
    for problem in problems:
        output.line(str(problem))
    if problems:
        raise IntegrityError(f"the store has {len(problems)} problem{'s' if len(problems) > 1 else ''}")
    return 0
