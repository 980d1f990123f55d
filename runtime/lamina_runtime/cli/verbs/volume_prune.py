"""`lamina volume prune`."""

from __future__ import annotations

from lamina_runtime.cli import common, human, output
from lamina_runtime.cli.flags import LIST, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("volume prune",),
    "[OPTIONS]",
    "Remove unused local volumes",
    flags=(
        Flag("all", "Remove all unused volumes, not just anonymous ones", short="a"),
        Flag("filter", 'Provide filter values (e.g. "label=<label>")', kind=LIST, word="filter"),
        Flag("force", "Do not prompt for confirmation", short="f"),
    ),
)
ANONYMOUS = "WARNING! This will remove anonymous local volumes not used by at least one container."
ALL = "WARNING! This will remove all local volumes not used by at least one container."


def run(parsed: Parsed, engine: Engine) -> int:
    """Remove the volumes that no container has."""
    from lamina_runtime.engine import containers, volumes

    words, everything = parsed.several("filter"), parsed.switch("all")
    if not common.confirmed(ALL if everything else ANONYMOUS, force=parsed.switch("force")):
        output.line("Total reclaimed space: 0B")
        return 0
    known = containers.containers(engine)
    removed, freed = volumes.prune(engine, known, words, everything=everything)
    if removed:
        output.line("Deleted Volumes:")
        for name in removed:
            output.line(name)
        output.line()
    output.line(f"Total reclaimed space: {human.size(freed, digits=4)}")
    return 0
