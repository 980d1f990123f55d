"""`lamina network ls`."""

from __future__ import annotations

from lamina_runtime.cli import common, output, table
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("network ls", "network list"),
    "[OPTIONS]",
    "List networks",
    flags=(
        common.FILTER,
        common.FORMAT,
        common.NO_TRUNC,
        Flag("quiet", "Only display network IDs", short="q"),
    ),
    details="Filters: dangling, driver, id, label, name, scope, type",
)
HEADINGS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "Labels": "LABELS",
    "Internal": "INTERNAL",
    "IPv6": "IPV6",
    "CreatedAt": "CREATED AT",
}
PLAIN = ("ID", "Name", "Driver", "Scope")


def run(parsed: Parsed, engine: Engine) -> int:
    """Print the networks, those that are always there too."""
    from lamina_runtime.engine import network_listing

    full, form = parsed.switch("no_trunc"), parsed.text("format")
    found = network_listing.chosen(engine, parsed.several("filter"))
    if parsed.switch("quiet") and not form:
        for one in found:
            output.line(one.id if full else one.id[:12])
        return 0
    rows: list[dict[str, object]] = [
        {
            "ID": one.id if full else one.id[:12],
            "Name": one.name,
            "Driver": one.driver,
            "Scope": "local",
            "Labels": ",".join(f"{name}={text}" for name, text in sorted(one.labels.items())),
            "Internal": str(one.internal).lower(),
            "IPv6": "false",
            "CreatedAt": one.created,
        }
        for one in found
    ]
    table.show(rows, table.Columns(HEADINGS, PLAIN), form)
    return 0
