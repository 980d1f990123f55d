"""`lamina image verify`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("image verify",),
    "[OPTIONS] IMAGE [IMAGE...]",
    "Check images against their digests: manifest, configuration, layers, metadata",
    flags=(Flag("quiet", "Only tell what is wrong", short="q"),),
    arguments=(1, 1 << 30),
    own=True,
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Check images part by part."""
    from lamina_runtime.engine import naming, verifying

    def verify(word: str) -> None:
        image = naming.resolve(engine.store, word).image
        verifying.verify(engine.store, image)
        if not parsed.switch("quiet"):
            output.line(f"{word}: verified {image.id}")

    return common.each(parsed.arguments, verify, own=True)
