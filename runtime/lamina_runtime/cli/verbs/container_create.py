"""`lamina create`, `lamina container create`."""

from __future__ import annotations

from lamina_runtime.cli import exit_codes, output
from lamina_runtime.cli.container_flags import FLAGS
from lamina_runtime.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("create", "container create"),
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a new container",
    flags=FLAGS,
    arguments=(1, 1 << 30),
    interspersed=False,
    failure=exit_codes.CONTAINER,
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Make a container and print its id."""
    from lamina_runtime.cli import creating

    output.line(creating.create(parsed, engine).id)
    return 0
