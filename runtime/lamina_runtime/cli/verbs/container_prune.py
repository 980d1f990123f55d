"""`lamina container prune`."""

from __future__ import annotations

from lamina_runtime.cli import common, human, output
from lamina_runtime.cli.flags import LIST, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("container prune",),
    "[OPTIONS]",
    "Remove all stopped containers",
    flags=(
        Flag("filter", 'Provide filter values (e.g. "until=<timestamp>")', kind=LIST, word="filter"),
        Flag("force", "Do not prompt for confirmation", short="f"),
    ),
)
WARNING = "WARNING! This will remove all stopped containers."


def run(parsed: Parsed, engine: Engine) -> int:
    """Remove the containers that do not run."""
    from lamina_runtime.engine import container_filters, container_listing

    words = parsed.several("filter")
    container_filters.for_pruning(words)
    if not common.confirmed(WARNING, force=parsed.switch("force")):
        output.line("Total reclaimed space: 0B")
        return 0
    removed, freed = container_listing.prune(engine, words)
    if removed:
        output.line("Deleted Containers:")
        for name in removed:
            output.line(name)
        output.line()
    output.line(f"Total reclaimed space: {human.size(freed, digits=4)}")
    return 0
