"""`lamina volume ls`."""

from __future__ import annotations

from lamina_runtime.cli import common, output, table
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("volume ls", "volume list"),
    "[OPTIONS]",
    "List volumes",
    flags=(common.FILTER, common.FORMAT, Flag("quiet", "Only display volume names", short="q")),
    details="Filters: dangling, driver, label, name",
)
HEADINGS = {
    "Driver": "DRIVER",
    "Name": "VOLUME NAME",
    "Labels": "LABELS",
    "Mountpoint": "MOUNTPOINT",
    "Scope": "SCOPE",
    "Size": "SIZE",
    "Links": "LINKS",
}
PLAIN = ("Driver", "Name")


def run(parsed: Parsed, engine: Engine) -> int:
    """Print the volumes."""
    from lamina_runtime.engine import containers, volumes

    known = containers.containers(engine).list()
    found = volumes.chosen(engine, known, parsed.several("filter"))
    form = parsed.text("format")
    if parsed.switch("quiet") and not form:
        for one in found:
            output.line(one.name)
        return 0
    rows: list[dict[str, object]] = [
        {
            "Driver": volumes.DRIVER,
            "Name": one.name,
            "Labels": ",".join(f"{name}={text}" for name, text in sorted(one.labels.items())),
            "Mountpoint": str(one.place),
            "Scope": volumes.DRIVER,
            "Size": "N/A",
            "Links": len(volumes.users(known, one.name)),
        }
        for one in found
    ]
    table.show(rows, table.Columns(HEADINGS, PLAIN), form)
    return 0
