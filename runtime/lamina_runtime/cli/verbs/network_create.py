"""`lamina network create`."""

from __future__ import annotations

from lamina_runtime.cli import output
from lamina_runtime.cli.flags import LIST, STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("network create",),
    "[OPTIONS] NETWORK",
    "Create a network",
    flags=(
        Flag("driver", "Driver to manage the network", short="d", kind=STRING, default="bridge"),
        Flag("internal", "Restrict external access to the network"),
        Flag("label", "Set metadata on a network", kind=LIST),
        Flag("subnet", "Subnet in CIDR format that represents a network segment", kind=STRING),
    ),
    arguments=(1, 1),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Make a network and print its id."""
    from lamina_runtime.engine import networks
    from lamina_runtime.errors import UsageError

    if parsed.text("driver") != "bridge":
        raise UsageError(f"no such network driver: {parsed.text('driver')}")
    labels = {name: text for name, _, text in (word.partition("=") for word in parsed.several("label"))}
    made = networks.create(
        engine,
        parsed.arguments[0],
        subnet=parsed.text("subnet"),
        internal=parsed.switch("internal"),
        labels=labels,
    )
    output.line(made.id)
    return 0
