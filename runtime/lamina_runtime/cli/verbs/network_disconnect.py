"""`lamina network disconnect`."""

from __future__ import annotations

from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("network disconnect",),
    "[OPTIONS] NETWORK CONTAINER",
    "Disconnect a container from a network",
    flags=(Flag("force", "Do not error if the container is not on the network", short="f"),),
    arguments=(2, 2),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Take a container off a network, at once if it runs."""
    from lamina_runtime.engine import joining

    name, word = parsed.arguments
    joining.disconnect(engine, word, name, force=parsed.switch("force"))
    return 0
