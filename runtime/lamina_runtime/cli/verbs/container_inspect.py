"""`lamina container inspect`."""

from __future__ import annotations

from lamina_runtime.cli import common
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("container inspect",),
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Display detailed information on one or more containers",
    flags=(common.FORMAT_ONE, Flag("size", "Display total file sizes", short="s")),
    arguments=(1, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Print all that is known of containers."""
    from lamina_runtime.cli.verbs import inspect
    from lamina_runtime.engine import container_inspecting, containers

    known = containers.containers(engine)
    size = parsed.switch("size")
    return inspect.show(
        parsed, lambda word: container_inspecting.describe(engine, known.find(word), size=size)
    )
