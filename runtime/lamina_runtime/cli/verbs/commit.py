"""`lamina commit`."""

from __future__ import annotations

from lamina_runtime.cli import output
from lamina_runtime.cli.flags import LIST, STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("commit", "container commit"),
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    "Create a new image from a container's changes",
    flags=(
        Flag("author", "Author (e.g., 'John Hannibal Smith <hannibal@a-team.com>')", short="a", kind=STRING),
        Flag("change", "Apply Dockerfile instruction to the created image", short="c", kind=LIST),
        Flag("message", "Commit message", short="m", kind=STRING),
        Flag("no-pause", "Let the processes run: their files alone are held still"),
        Flag("pause", "Hold the container still during commit", short="p", default=True),
    ),
    arguments=(1, 2),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Make an image of a container."""
    from lamina_runtime.engine import committing

    wish = committing.Commit(
        name=parsed.arguments[1] if len(parsed.arguments) > 1 else "",
        author=parsed.text("author"),
        message=parsed.text("message"),
        changes=parsed.several("change"),
        pause=parsed.switch("pause") and not parsed.switch("no_pause"),
    )
    made = committing.commit(engine, engine.containers.find(parsed.arguments[0]), wish)
    output.line(str(made))
    return 0
