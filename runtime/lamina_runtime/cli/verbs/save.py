"""`lamina save`."""

from __future__ import annotations

import sys

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("save", "image save"),
    "[OPTIONS] IMAGE [IMAGE...]",
    "Save one or more images to an archive (streamed to STDOUT by default)",
    flags=(
        Flag(
            "format",
            "Write a docker-archive, an oci-archive or, with --output, an oci-dir",
            kind=STRING,
            default="docker-archive",
        ),
        common.ONE_PLATFORM,
        Flag("output", "Write to a file, instead of STDOUT", short="o", kind=STRING, word="path"),
    ),
    arguments=(1, 1 << 30),
    details="A docker-archive is also an OCI archive. The same images give the same bytes.",
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Write images into one archive."""
    from lamina_runtime.engine import saving
    from lamina_runtime.errors import LaminaError, UsageError

    form, path = parsed.text("format"), parsed.text("output")
    if form not in saving.FORMATS:
        raise UsageError(f"--format: one of {', '.join(saving.FORMATS)} expected, not '{form}'")
    if form == saving.DIRECTORY and not path:
        raise UsageError("--format oci-dir needs --output")
    if not path and output.on_terminal(sys.stdout):
        raise LaminaError("cowardly refusing to save to a terminal", hint="use the -o flag or redirect")
    saving.save(
        engine,
        parsed.arguments,
        form=form,
        path=path,
        stream=None if path else output.binary(),
        platform=parsed.text("platform"),
    )
    return 0
