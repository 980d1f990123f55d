"""`lamina network connect`."""

from __future__ import annotations

from lamina_runtime.cli.flags import LIST, STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("network connect",),
    "[OPTIONS] NETWORK CONTAINER",
    "Connect a container to a network",
    flags=(
        Flag("alias", "Add network-scoped alias for the container", kind=LIST),
        Flag("ip", "IPv4 address (e.g., 172.30.100.104)", kind=STRING),
    ),
    arguments=(2, 2),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Put a container on a network, at once if it runs."""
    from lamina_runtime.cli import network_flags
    from lamina_runtime.engine import joining

    name, word = parsed.arguments
    wished = network_flags.joined(name, parsed.several("alias"), parsed.text("ip"))
    joining.connect(engine, word, wished)
    return 0
