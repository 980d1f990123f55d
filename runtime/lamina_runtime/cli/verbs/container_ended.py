"""`lamina container ended`: what a monitor becomes; not for people."""

from __future__ import annotations

from lamina_runtime.cli import exit_codes
from lamina_runtime.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("container ended",),
    "CONTAINER",
    "Remove a container that ended, or start it again, as was wished when it was made",
    arguments=(1, 1),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Do what was wished for a container's end."""
    from lamina_runtime.engine import containers, stopping

    stopping.after_end(engine, containers.containers(engine).find(parsed.arguments[0]))
    return exit_codes.OK
