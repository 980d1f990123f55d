"""`lamina volume rm`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("volume rm", "volume remove"),
    "[OPTIONS] VOLUME [VOLUME...]",
    "Remove one or more volumes",
    flags=(Flag("force", "Force the removal of one or more volumes", short="f"),),
    arguments=(1, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Remove volumes that no container has."""
    from lamina_runtime.engine import containers, volumes

    known = containers.containers(engine)

    def remove(word: str) -> None:
        volumes.remove(engine, known, word, force=parsed.switch("force"))
        output.line(word)

    return common.each(parsed.arguments, remove)
