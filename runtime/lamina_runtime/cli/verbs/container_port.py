"""`lamina port`, `lamina container port`."""

from __future__ import annotations

from lamina_runtime.cli import output
from lamina_runtime.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("port", "container port"),
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "List port mappings or a specific mapping for the container",
    arguments=(1, 2),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Print where a container's ports are on the host."""
    from lamina_runtime.container.ports import exposed
    from lamina_runtime.engine import containers, networking
    from lamina_runtime.errors import LaminaError

    container = containers.containers(engine).find(parsed.arguments[0])
    found = networking.published(container) if container.status().pid else []
    if len(parsed.arguments) == 1:
        for port in found:
            output.line(f"{port.port}/{port.protocol} -> {port}")
        return 0
    wanted = exposed(parsed.arguments[1])
    chosen = [port for port in found if f"{port.port}/{port.protocol}" in wanted]
    if not chosen:
        raise LaminaError(f"no public port '{wanted[0]}' published for {container.record.name}")
    for port in chosen:
        output.line(f"{port}")
    return 0
