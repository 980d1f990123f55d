"""`lamina unpause`, `lamina container unpause`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("unpause", "container unpause"),
    "CONTAINER [CONTAINER...]",
    "Unpause all processes within one or more containers",
    arguments=(1, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Let containers go on."""
    from lamina_runtime.engine import containers, pausing

    known = containers.containers(engine)

    def unpause(word: str) -> None:
        pausing.unpause(known.find(word))
        output.line(word)

    return common.each(parsed.arguments, unpause)
