"""`lamina network prune`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import LIST, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("network prune",),
    "[OPTIONS]",
    "Remove all unused networks",
    flags=(
        Flag("filter", 'Provide filter values (e.g. "until=<timestamp>")', kind=LIST, word="filter"),
        Flag("force", "Do not prompt for confirmation", short="f"),
    ),
)
WARNING = "WARNING! This will remove all custom networks not used by at least one container."


def run(parsed: Parsed, engine: Engine) -> int:
    """Remove the networks that no container is meant to be on."""
    from lamina_runtime.engine import network_listing

    words = parsed.several("filter")
    if not common.confirmed(WARNING, force=parsed.switch("force")):
        return 0
    removed = network_listing.prune(engine, words)
    if removed:
        output.line("Deleted Networks:")
        for name in removed:
            output.line(name)
    return 0
