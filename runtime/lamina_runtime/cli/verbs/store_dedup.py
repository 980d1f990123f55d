"""`lamina store dedup`."""

from __future__ import annotations

from lamina_runtime.cli import human, output, progress
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("store dedup",),
    "[OPTIONS]",
    "Keep content that is in several layers once",
    flags=(Flag("quiet", "Only tell how much space that gave", short="q"),),
    own=True,
)
NAME = "store"


def run(parsed: Parsed, engine: Engine) -> int:
    """Find equal content, keep it once, tell what that gave."""
    quiet = parsed.switch("quiet")
    with progress.make(quiet=quiet) as shown:
        shown.start(NAME, None, "Comparing")
        done = engine.store.dedup(progress=lambda _what, _done, _total: shown.advance(NAME, 1))
        shown.done(NAME, "Compared")
    if not quiet:
        for tag in done.layers:
            output.line(f"shared: layer {tag}")
        for tag in done.skipped:
            output.line(f"in use: layer {tag}")
    output.line(f"Total reclaimed space: {human.size(done.freed, digits=4)}")
    return 0
