"""`lamina rename`, `lamina container rename`."""

from __future__ import annotations

from lamina_runtime.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("rename", "container rename"), "CONTAINER NEW_NAME", "Rename a container", arguments=(2, 2)
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Give a container another name."""
    known = engine.containers
    old, new = parsed.arguments
    container = known.find(old)
    with container.turn():
        known.rename(container, new.removeprefix("/"))
    return 0
