"""`lamina pause`, `lamina container pause`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("pause", "container pause"),
    "CONTAINER [CONTAINER...]",
    "Pause all processes within one or more containers",
    arguments=(1, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Let containers stand still."""
    from lamina_runtime.engine import containers, pausing

    known = containers.containers(engine)

    def pause(word: str) -> None:
        pausing.pause(known.find(word))
        output.line(word)

    return common.each(parsed.arguments, pause)
