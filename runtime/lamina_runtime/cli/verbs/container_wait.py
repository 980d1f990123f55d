"""`lamina wait`, `lamina container wait`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("wait", "container wait"),
    "CONTAINER [CONTAINER...]",
    "Block until one or more containers stop, then print their exit codes",
    arguments=(1, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Wait for the ends of containers."""
    from lamina_runtime.engine import containers, stopping

    known = containers.containers(engine)

    def wait(word: str) -> None:
        output.line(str(stopping.wait(known.find(word))))
        output.flush()

    return common.each(parsed.arguments, wait)
