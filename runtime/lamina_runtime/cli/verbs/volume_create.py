"""`lamina volume create`."""

from __future__ import annotations

from lamina_runtime.cli import output
from lamina_runtime.cli.flags import LIST, STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("volume create",),
    "[OPTIONS] [VOLUME]",
    "Create a volume",
    flags=(
        Flag("driver", "Specify volume driver name", short="d", kind=STRING, default="local"),
        Flag("label", "Set metadata for a volume", kind=LIST),
        Flag("opt", "Set driver specific options", short="o", kind=LIST),
    ),
    arguments=(0, 1),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Make a volume and print its name."""
    from lamina_runtime.engine import volumes
    from lamina_runtime.errors import NotFoundError, UsageError

    if parsed.text("driver") != volumes.DRIVER:
        raise NotFoundError(f"no such volume driver: {parsed.text('driver')}")
    pairs = [word.partition("=") for word in parsed.several("opt")]
    if not all(name and equals for name, equals, _ in pairs):
        raise UsageError("--opt: NAME=VALUE expected")
    labels = {name: text for name, _, text in (word.partition("=") for word in parsed.several("label"))}
    options = {name: text for name, _, text in pairs}
    name = parsed.arguments[0] if parsed.arguments else ""
    output.line(volumes.create(engine, name, labels=labels, options=options).name)
    return 0
