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
    ("export", "container export", "image export"),
    "[OPTIONS] CONTAINER|IMAGE",
    "Write the file system of a container or an image as a tar archive",
    flags=(Flag("output", "Write to a file, instead of STDOUT", short="o", kind=STRING, word="path"),),
    arguments=(1, 1),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Write the tree of an image."""
    from lamina_runtime.engine import containers, exporting
    from lamina_runtime.errors import LaminaError

    path = parsed.text("output")
    if not path and output.on_terminal(sys.stdout):
        raise LaminaError("cowardly refusing to save to a terminal", hint="use the -o flag or redirect")
    container = containers.known(engine, parsed.arguments[0])
    if container:
        from lamina_runtime.engine import copying, output_file

        with output_file.created(path, None if path else output.binary()) as file:
            copying.export(engine, container, file)
        return 0
    exporting.export(engine, parsed.arguments[0], path=path, stream=None if path else output.binary())
    return 0
