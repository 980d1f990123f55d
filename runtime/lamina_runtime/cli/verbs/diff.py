"""`lamina diff`."""

from __future__ import annotations

from lamina_runtime.cli import output, table
from lamina_runtime.cli.flags import STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("diff", "image diff"),
    "[OPTIONS] IMAGE|LAYER [IMAGE|LAYER]",
    "Show what differs between two images or layers",
    flags=(
        Flag("contents", "Also read files of the same size and time"),
        Flag("format", "'json', or a Go template ({{.Kind}} {{.Path}} {{.Size}})", kind=STRING),
    ),
    arguments=(1, 2),
    details="IMAGE@N means its first N layers.  With one argument: what its last layer did.\n"
    "A added, C changed, D deleted.",
)
HEADINGS = {"Kind": "KIND", "Path": "PATH", "Size": "SIZE"}


def run(parsed: Parsed, engine: Engine) -> int:
    """Print what differs."""
    from lamina_runtime.engine import comparing

    store, form = engine.store, parsed.text("format")
    with store.lease("diff"):
        before, after = comparing.stacks(store, parsed.arguments)
        found = comparing.changes(store, before, after, contents=parsed.switch("contents"))
        if form:
            rows = [{"Kind": change.kind, "Path": change.path, "Size": change.size} for change in found]
            table.show(rows, table.Columns(HEADINGS, tuple(HEADINGS)), form)
            return 0
        for change in found:
            output.line(f"{change.kind} {change.path}")
    return 0
