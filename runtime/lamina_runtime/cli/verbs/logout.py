"""`lamina logout`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("logout",),
    "[SERVER]",
    "Forget a registry's credentials.\nIf no server is specified, Docker Hub is meant.",
    flags=tuple(flag for flag in common.REGISTRY_FLAGS if flag.name == "authfile"),
    arguments=(0, 1),
)


def run(parsed: Parsed, engine: Engine) -> int:  # noqa: ARG001 - every verb's signature
    """Forget credentials."""
    from lamina_runtime.engine import transfers

    registry = transfers.registry_name(parsed.arguments[0] if parsed.arguments else "")
    if transfers.logout(registry, access=transfers.Access(auth_file=parsed.text("authfile"))):
        output.line(f"Removing login credentials for {registry}")
    else:
        output.line(f"Not logged in to {registry}")
    return 0
