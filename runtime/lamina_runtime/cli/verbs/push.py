"""`lamina push`."""

from __future__ import annotations

from lamina_runtime.cli import common, output, progress
from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMPRESSIONS = {"gzip": "gzip", "zstd": "zstd", "none": None}
COMMAND = Command(
    ("push", "image push"),
    "[OPTIONS] NAME[:TAG]",
    "Upload an image to a registry",
    flags=(
        Flag("all-tags", "Push all tags of an image to the repository", short="a"),
        Flag(
            "compression",
            "Compress layers that came without: gzip, zstd or none",
            kind=STRING,
            default="gzip",
        ),
        common.CONTENT_TRUST,
        Flag(
            "platform",
            "Push the manifest for this platform alone, not the index it came from: os[/arch[/variant]]",
            kind=STRING,
        ),
        Flag("quiet", "Suppress verbose output", short="q"),
        *common.REGISTRY_FLAGS,
    ),
    arguments=(1, 1),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Push one image, or all tags of a repository."""
    from lamina_runtime.engine import transfers
    from lamina_runtime.errors import NotFoundError, UsageError

    quiet, all_tags = parsed.switch("quiet"), parsed.switch("all_tags")
    if parsed.text("compression") not in COMPRESSIONS:
        raise UsageError(f"--compression: gzip, zstd or none expected, not '{parsed.text('compression')}'")
    reference, default = transfers.wanted_reference(parsed.arguments[0], all_tags=all_tags)
    names = transfers.tags_of(engine, reference) if all_tags else [reference]
    if not names:
        raise NotFoundError(f"An image does not exist locally with the tag: {reference.familiar_name}")
    if not quiet:
        if default:
            output.line(f"Using default tag: {reference.tag}")
        output.line(f"The push refers to repository [{reference.name}]")
        output.flush()
    for name in names:
        with progress.make(quiet=quiet) as shown:
            pushed = transfers.push(
                engine,
                name,
                access=common.access(parsed),
                progress=shown,
                compression=COMPRESSIONS[parsed.text("compression")],
                platform=parsed.text("platform"),
            )
        output.line(str(pushed.reference) if quiet else pushed.status)
    return 0
