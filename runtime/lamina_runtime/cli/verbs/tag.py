"""`lamina tag`."""

from __future__ import annotations

from lamina_runtime.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("tag", "image tag"),
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    arguments=(2, 2),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Give an image another name."""
    from lamina_runtime.engine import tagging

    tagging.tag(engine.store, *parsed.arguments)
    return 0
