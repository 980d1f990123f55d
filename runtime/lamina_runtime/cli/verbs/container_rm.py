"""`lamina rm`, `lamina container rm`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("rm", "container rm", "container remove"),
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Remove one or more containers",
    flags=(
        Flag("force", "Force the removal of a running container (uses SIGKILL)", short="f"),
        Flag("volumes", "Remove anonymous volumes associated with the container", short="v"),
    ),
    arguments=(1, 1 << 30),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Remove containers with all that they wrote."""
    from lamina_runtime.engine import containers, stopping
    from lamina_runtime.errors import NotFoundError

    known = containers.containers(engine)
    force = parsed.switch("force")

    def remove(word: str) -> None:
        try:
            stopping.remove(engine, known.find(word), force=force, volumes=parsed.switch("volumes"))
        except NotFoundError as error:
            if not force:  # with --force, what is gone is no failure, as with docker
                raise
            output.note(error.render())
            return
        output.line(word)

    return common.each(parsed.arguments, remove)
