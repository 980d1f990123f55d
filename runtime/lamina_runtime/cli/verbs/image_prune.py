"""`lamina image prune`."""

from __future__ import annotations

from lamina_runtime.cli import common, human, output
from lamina_runtime.cli.flags import LIST, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("image prune",),
    "[OPTIONS]",
    "Remove unused images",
    flags=(
        Flag("all", "Remove all unused images, not just dangling ones", short="a"),
        Flag("filter", 'Provide filter values (e.g. "until=<timestamp>")', kind=LIST, word="filter"),
        Flag("force", "Do not prompt for confirmation", short="f"),
    ),
)
DANGLING = "WARNING! This will remove all dangling images."
ALL = "WARNING! This will remove all images without at least one mount associated to them."


def run(parsed: Parsed, engine: Engine) -> int:
    """Remove what nobody names, or what nobody uses."""
    from lamina_runtime.engine import removal

    everything = parsed.switch("all")
    if not common.confirmed(ALL if everything else DANGLING, force=parsed.switch("force")):
        output.line("Total reclaimed space: 0B")
        return 0
    removed = removal.prune(engine, everything=everything, words=parsed.several("filter"))
    swept = removal.sweep(engine)
    if removed.untagged or removed.deleted or swept.layers:
        output.line("Deleted Images:")
        for name in removed.untagged:
            output.line(f"untagged: {name}")
        for name in (*removed.deleted, *swept.layers):
            output.line(f"deleted: {name}")
        output.line()
    output.line(f"Total reclaimed space: {human.size(swept.bytes, digits=4)}")
    return 0
