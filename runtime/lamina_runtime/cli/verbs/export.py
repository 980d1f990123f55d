"""`lamina export`."""

from __future__ import annotations

import sys

from lamina_runtime.cli import output
from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("export", "image export"),
    "[OPTIONS] IMAGE",
    "Write an image's merged file system as a tar archive",
    flags=(Flag("output", "Write to a file, instead of STDOUT", short="o", kind=STRING, word="path"),),
    arguments=(1, 1),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Write the tree of an image."""
    from lamina_runtime.engine import exporting
    from lamina_runtime.errors import LaminaError

    path = parsed.text("output")
    if not path and output.on_terminal(sys.stdout):
        raise LaminaError("cowardly refusing to save to a terminal", hint="use the -o flag or redirect")
    exporting.export(engine, parsed.arguments[0], path=path, stream=None if path else output.binary())
    return 0
