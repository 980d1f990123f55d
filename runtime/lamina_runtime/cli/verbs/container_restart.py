"""`lamina restart`, `lamina container restart`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import NUMBER, STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("restart", "container restart"),
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Restart one or more containers",
    flags=(
        Flag("signal", "Signal to send to the container", short="s", kind=STRING),
        Flag("time", "Seconds to wait before killing the container (-1: for ever)", short="t", kind=NUMBER),
        Flag("timeout", "The same as --time", kind=NUMBER),
    ),
    arguments=(1, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """End containers and start them again."""
    from lamina_runtime.container import processes
    from lamina_runtime.engine import containers, stopping

    known = containers.containers(engine)
    signum = processes.number(parsed.text("signal")) if parsed.text("signal") else None
    grace = next((parsed.number(key) for key in ("time", "timeout") if key in parsed.given), None)

    def restart(word: str) -> None:
        container = known.find(word)
        stopping.stop(engine, container, signum=signum, grace=grace)
        containers.start(engine, container)
        output.line(word)
        output.flush()

    return common.each(parsed.arguments, restart)
