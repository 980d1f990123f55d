"""`lamina inspect`: containers, then images."""

from __future__ import annotations

from lamina_runtime.cli import common
from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("inspect",),
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Return low-level information on containers and images",
    flags=(
        common.FORMAT_ONE,
        Flag("size", "Display total file sizes if the type is container", short="s"),
        Flag("type", 'Only inspect objects of the given type ("container", "image")', kind=STRING),
    ),
    arguments=(1, 1 << 30),
)
KINDS = ("", "container", "image")


def run(parsed: Parsed, engine: Engine) -> int:
    """Print all that is known of what the words name."""
    from lamina_runtime.cli.verbs import inspect
    from lamina_runtime.engine import inspecting, naming
    from lamina_runtime.errors import NotFoundError, UsageError

    kind = parsed.text("type")
    if kind not in KINDS:
        raise UsageError(f'"{kind}" is not a valid value for --type: one of "container" and "image" is')
    size = parsed.switch("size")

    def describe(word: str) -> dict[str, object]:
        if kind != "image":
            try:
                container = engine.containers.find(word)
            except NotFoundError:
                if kind:
                    raise
            else:
                from lamina_runtime.engine import container_inspecting

                return container_inspecting.describe(engine, container, size=size)
        try:
            return inspecting.describe(engine.store, naming.resolve(engine.store, word).image)
        except NotFoundError:
            if kind:
                raise
            raise NotFoundError(f"no such object: {word}") from None

    return inspect.show(parsed, describe)
