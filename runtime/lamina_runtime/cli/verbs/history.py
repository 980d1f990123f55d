"""`lamina history`."""

from __future__ import annotations

from lamina_runtime.cli import common, human, output, table
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine
    from lamina_runtime.engine.steps import Step

COMMAND = Command(
    ("history", "image history"),
    "[OPTIONS] IMAGE",
    "Show the history of an image",
    flags=(
        common.FORMAT,
        Flag("human", "Print sizes and dates in human readable format", short="H", default=True),
        common.NO_TRUNC,
        common.ONE_PLATFORM,
        Flag("quiet", "Only show image IDs", short="q"),
    ),
    arguments=(1, 1),
)
HEADINGS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
MISSING = "<missing>"
WIDEST = 45


def run(parsed: Parsed, engine: Engine) -> int:
    """Print the steps of an image, the last first."""
    from lamina_runtime.engine import naming, steps

    image = naming.resolve_for(engine.store, parsed.arguments[0], parsed.text("platform")).image
    full, people = parsed.switch("no_trunc"), parsed.switch("human")
    ids = [(str(image.id) if full else image.id.short), *[MISSING] * len(image.config.history)]
    rows = [
        _fields(name, step, full=full, people=people)
        for name, step in zip(ids, reversed(steps.of(engine.store, image)), strict=False)
    ]
    if parsed.switch("quiet") and not parsed.text("format"):
        for row in rows:
            output.line(str(row["ID"]))
        return 0
    created = "CreatedSince" if people else "CreatedAt"
    columns = table.Columns(HEADINGS, ("ID", created, "CreatedBy", "Size", "Comment"))
    table.show(rows, columns, parsed.text("format"))
    return 0


def _fields(name: str, step: Step, *, full: bool, people: bool) -> dict[str, object]:
    by = step.entry.created_by.replace("\t", " ")
    return {
        "ID": name,
        "CreatedSince": human.since(step.created),
        "CreatedAt": human.rfc3339(step.created),
        "CreatedBy": by if full else human.shortened(by, WIDEST),
        "Size": human.size(step.size) if people else str(step.size),
        "Comment": step.entry.comment,
    }
