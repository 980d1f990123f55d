"""`lamina rmi`, `lamina image rm`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import LIST, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("rmi", "image rm", "image remove"),
    "[OPTIONS] IMAGE [IMAGE...]",
    "Remove one or more images",
    flags=(
        Flag("force", "Force removal of the image", short="f"),
        Flag("no-prune", "Keep the layers that only this image needed, until the next gc"),
        Flag("platform", "Remove only what is for one of these platforms: os[/arch[/variant]]", kind=LIST),
    ),
    arguments=(1, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Remove images or names of images."""
    from lamina_runtime.engine import removal
    from lamina_runtime.errors import NotFoundError

    force = parsed.switch("force")
    deleted = False

    def remove(word: str) -> None:
        nonlocal deleted
        try:
            removed = removal.remove(engine, word, force=force, platforms=parsed.several("platform"))
        except NotFoundError:
            if not force:  # with --force, what is gone is no failure, as with docker
                raise
            output.note(f"Error: No such image: {word}")
            return
        for name in removed.untagged:
            output.line(f"Untagged: {name}")
        for name in removed.deleted:
            output.line(f"Deleted: {name}")
        deleted = deleted or bool(removed.deleted)

    status = common.each(parsed.arguments, remove)
    if deleted and not parsed.switch("no_prune"):
        for name in removal.sweep(engine).layers:
            output.line(f"Deleted: {name}")
    return status
