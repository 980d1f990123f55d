"""`lamina top`, `lamina container top`."""

from __future__ import annotations

from lamina_runtime.cli import output, table
from lamina_runtime.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("top", "container top"),
    "CONTAINER [ps OPTIONS]",
    "Display the running processes of a container",
    arguments=(1, 1 << 30),
    interspersed=False,
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Print a container's processes as ps(1) of the host shows them."""
    from lamina_runtime.engine import containers, watching_processes

    container = containers.containers(engine).find(parsed.arguments[0])
    rows = watching_processes.top(container, parsed.arguments[1:] or ["-ef"])
    output.write("".join(f"{line}\n" for line in table.align(["\t".join(row) for row in rows])))
    return 0
