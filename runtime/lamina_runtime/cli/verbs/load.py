"""`lamina load`."""

from __future__ import annotations

from lamina_runtime.cli import common, output, progress
from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("load", "image load"),
    "[OPTIONS]",
    "Load images from an archive, an OCI layout or STDIN",
    flags=(
        Flag(
            "input",
            "Read from an archive or a directory with an OCI layout, instead of STDIN",
            short="i",
            kind=STRING,
            word="path",
        ),
        Flag(
            "name",
            "Repository for images that have a bare tag only, as umoci writes them",
            kind=STRING,
            word="repository",
        ),
        common.PLATFORM,
        Flag("quiet", "Suppress the load output", short="q"),
    ),
    details="Archives: docker save's of any age, OCI, each also in gzip, zstd, xz or bzip2.",
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Load every image of an archive."""
    from lamina_runtime.engine import loading

    with progress.make(quiet=parsed.switch("quiet")) as shown:
        loaded = loading.load(
            engine,
            parsed.text("input") or "-",
            platform=parsed.text("platform"),
            repository=parsed.text("name"),
            progress=shown,
        )
    for image in loaded:
        for name in image.names:
            output.line(f"Loaded image: {name.familiar}")
        if not image.names:
            output.line(f"Loaded image ID: {image.id}")
    return 0
