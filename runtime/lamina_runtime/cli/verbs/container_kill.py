"""`lamina kill`, `lamina container kill`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("kill", "container kill"),
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Kill one or more running containers",
    flags=(Flag("signal", "Signal to send to the container", short="s", kind=STRING, default="KILL"),),
    arguments=(1, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Send a signal to process 1 of containers."""
    from lamina_runtime.container import processes
    from lamina_runtime.engine import containers, stopping

    known = containers.containers(engine)
    signum = processes.number(parsed.text("signal"))

    def kill(word: str) -> None:
        stopping.kill(known.find(word), signum)
        output.line(word)

    return common.each(parsed.arguments, kill)
