"""`lamina update`, `lamina container update`."""

from __future__ import annotations

from lamina_runtime.cli import common, limit_flags, output
from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("update", "container update"),
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Change the limits or the restart policy of containers",
    flags=(
        *limit_flags.FLAGS,
        Flag("restart", "Restart policy to apply when a container exits", kind=STRING),
    ),
    arguments=(1, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Change what was wished, and what runs."""
    from lamina_runtime.cli import wishing
    from lamina_runtime.engine import containers, updating

    known = containers.containers(engine)
    wished = limit_flags.given(parsed)
    restart = wishing.restart(parsed) if "restart" in parsed.given else None

    def update(word: str) -> None:
        updating.update(engine, known.find(word), wished, restart=restart)
        output.line(word)

    return common.each(parsed.arguments, update)
