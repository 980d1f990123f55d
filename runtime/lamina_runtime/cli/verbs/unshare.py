"""`lamina unshare`."""

from __future__ import annotations

import os

from lamina_runtime.cli import exit_codes
from lamina_runtime.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("unshare",),
    "[COMMAND [ARG...]]",
    "Run a command, or a shell, as root of the user namespace that containers get",
    arguments=(0, 1 << 30),
    interspersed=False,
    failure=exit_codes.CONTAINER,
    own=True,
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Run it to its end; its status is ours."""
    from lamina_runtime.engine import unsharing

    return unsharing.run(engine, parsed.arguments or [os.environ.get("SHELL") or "/bin/sh"])
