"""`lamina stop`, `lamina container stop`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import NUMBER, STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("stop", "container stop"),
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Stop one or more running containers",
    flags=(
        Flag("signal", "Signal to send to the container", short="s", kind=STRING),
        Flag("time", "Seconds to wait before killing the container (-1: for ever)", short="t", kind=NUMBER),
        Flag("timeout", "The same as --time", kind=NUMBER),
    ),
    arguments=(1, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Ask containers to end, and see that they do."""
    from lamina_runtime.container import processes
    from lamina_runtime.engine import containers, stopping

    known = containers.containers(engine)
    signum = processes.number(parsed.text("signal")) if parsed.text("signal") else None
    grace = next((parsed.number(key) for key in ("time", "timeout") if key in parsed.given), None)

    def stop(word: str) -> None:
        stopping.stop(engine, known.find(word), signum=signum, grace=grace)
        output.line(word)
        output.flush()

    return common.each(parsed.arguments, stop)
