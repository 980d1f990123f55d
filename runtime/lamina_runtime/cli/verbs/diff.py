"""`lamina diff`."""

from __future__ import annotations

from lamina_runtime.cli import output, table
from lamina_runtime.cli.flags import STRING, Command, Flag
from lamina_runtime.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.container.state import Container
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("diff", "container diff", "image diff"),
    "[OPTIONS] CONTAINER|IMAGE|LAYER [IMAGE|LAYER]",
    "Show what a container changed, or what differs between two images or layers",
    flags=(
        Flag("contents", "Also read files of the same size and time"),
        Flag("format", "'json', or a Go template ({{.Kind}} {{.Path}} {{.Size}})", kind=STRING),
    ),
    arguments=(1, 2),
    details="IMAGE@N means its first N layers.  With one image: what its last layer did.\n"
    "A added, C changed, D deleted.",
)
HEADINGS = {"Kind": "KIND", "Path": "PATH", "Size": "SIZE"}


def run(parsed: Parsed, engine: Engine) -> int:
    """Print what differs."""
    store, form = engine.store, parsed.text("format")
    container = _container(parsed, engine)
    if container:
        from lamina_runtime.engine import committing

        changed = committing.diff(engine, container)
        _show([{"Kind": kind, "Path": path, "Size": 0} for kind, path in changed], form)
        return 0
    from lamina_runtime.engine import comparing

    with store.lease("diff"):
        try:
            before, after = comparing.stacks(store, parsed.arguments)
        except NotFoundError as missing:
            if len(parsed.arguments) > 1:
                raise
            raise NotFoundError(f"no such container, image or layer: {parsed.arguments[0]}") from missing
        found = comparing.changes(store, before, after, contents=parsed.switch("contents"))
        _show(({"Kind": one.kind, "Path": one.path, "Size": one.size} for one in found), form)
    return 0


def _container(parsed: Parsed, engine: Engine) -> Container | None:
    """Return the container of the one name that was given, None where it is an image's."""
    if len(parsed.arguments) != 1:
        return None
    try:
        return engine.containers.find(parsed.arguments[0])
    except NotFoundError:
        return None


def _show(rows: Iterable[dict[str, object]], form: str) -> None:
    if form:
        table.show(list(rows), table.Columns(HEADINGS, tuple(HEADINGS)), form)
        return
    for row in rows:
        output.line(f"{row['Kind']} {row['Path']}")
