"""`lamina import`."""

from __future__ import annotations

from lamina_runtime.cli import common, output, progress
from lamina_runtime.cli.flags import LIST, STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("import", "image import"),
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    "Import the contents from a tarball to create a filesystem image",
    flags=(
        Flag("change", "Apply Dockerfile instruction to the created image", short="c", kind=LIST),
        Flag("message", "Set commit message for imported image", short="m", kind=STRING),
        common.PLATFORM,
        Flag("quiet", "Only print the image ID", short="q"),
    ),
    arguments=(1, 2),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Make an image of one tarball."""
    from lamina_runtime.engine import importing

    with progress.make(quiet=parsed.switch("quiet")) as shown:
        image_id = importing.import_(
            engine,
            parsed.arguments[0],
            name=parsed.arguments[1] if len(parsed.arguments) > 1 else "",
            changes=parsed.several("change"),
            message=parsed.text("message"),
            platform=parsed.text("platform"),
            progress=shown,
        )
    output.line(str(image_id))
    return 0
