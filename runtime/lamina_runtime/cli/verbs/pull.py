"""`lamina pull`."""

from __future__ import annotations

from lamina_runtime.cli import common, output, progress
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("pull", "image pull"),
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    "Download an image from a registry",
    flags=(
        Flag("all-tags", "Download all tagged images in the repository", short="a"),
        common.CONTENT_TRUST,
        Flag("discard-blobs", "Keep no compressed blobs: less space, but a later push has other digests"),
        common.PLATFORM,
        Flag("quiet", "Suppress verbose output", short="q"),
        *common.REGISTRY_FLAGS,
    ),
    arguments=(1, 1),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Pull one image, or all of a repository; a short name from the first registry that has it."""
    from lamina_runtime.engine import transfers
    from lamina_runtime.errors import NetworkError

    word = parsed.arguments[0]
    failures: list[str] = []
    for name in transfers.meant(word, common.access(parsed)):
        try:
            return _pull(parsed, engine, name)
        except NetworkError as error:
            failures.append(error.render())
            last = error
    if len(failures) == 1:
        raise last
    raise NetworkError(f"{word}: no registry gave it", details="\n".join(failures))


def _pull(parsed: Parsed, engine: Engine, name: str) -> int:
    from lamina_runtime.engine import transfers

    quiet, all_tags = parsed.switch("quiet"), parsed.switch("all_tags")
    reference, default = transfers.wanted_reference(name, all_tags=all_tags)
    if not quiet:
        if default:
            output.line(f"Using default tag: {reference.tag}")
        what = "" if all_tags else f"{reference.digest or reference.tag}: "
        output.line(f"{what}Pulling from {reference.repository if not all_tags else reference.name}")
        output.flush()
    with progress.make(quiet=quiet) as shown:
        pulled = transfers.pull(
            engine,
            reference,
            all_tags=all_tags,
            platform=parsed.text("platform"),
            access=common.access(parsed),
            progress=shown,
            keep_blobs=not parsed.switch("discard_blobs"),
        )
    for one in pulled:
        if not quiet:
            output.line(f"Digest: {one.digest}")
            output.line(one.status)
        output.line(str(one.reference))
    return 0
