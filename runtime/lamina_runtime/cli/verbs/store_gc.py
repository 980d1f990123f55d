"""`lamina store gc`."""

from __future__ import annotations

from lamina_runtime.cli import human, output
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("store gc",),
    "[OPTIONS]",
    "Remove what no image needs",
    flags=(
        Flag("dry-run", "Only tell what would be removed", short="n"),
        Flag("quiet", "Only tell how much that is", short="q"),
    ),
    own=True,
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Sweep the store."""
    reclaimed = engine.store.collect(dry_run=parsed.switch("dry_run"))
    if not parsed.switch("quiet"):
        for tag in reclaimed.layers:
            output.line(f"deleted: layer {tag}")
        for digest in reclaimed.blobs:
            output.line(f"deleted: blob {digest}")
    output.line(f"Total reclaimed space: {human.size(reclaimed.size, digits=4)}")
    return 0
