"""`lamina network inspect`."""

from __future__ import annotations

from lamina_runtime.cli import common
from lamina_runtime.cli.flags import Command
from lamina_runtime.cli.verbs.inspect import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("network inspect",),
    "[OPTIONS] NETWORK [NETWORK...]",
    "Display detailed information on one or more networks",
    flags=(common.FORMAT_ONE,),
    arguments=(1, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Print all that is known of networks."""
    from lamina_runtime.engine import network_listing

    return show(parsed, lambda word: network_listing.describe(engine, word))
