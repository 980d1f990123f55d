"""`lamina search`."""

from __future__ import annotations

from lamina_runtime.cli import common, human, table
from lamina_runtime.cli.flags import NUMBER, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("search",),
    "[OPTIONS] TERM",
    "Search a registry for images",
    flags=(
        common.FILTER,
        common.FORMAT,
        Flag("limit", "Max number of search results", kind=NUMBER, default=25),
        common.NO_TRUNC,
        *common.REGISTRY_FLAGS,
    ),
    arguments=(1, 1),
    details="TERM may begin with a registry: registry.example/term.  Filters: stars=N, is-official=BOOL",
)
HEADINGS = {
    "Name": "NAME",
    "Description": "DESCRIPTION",
    "StarCount": "STARS",
    "IsOfficial": "OFFICIAL",
    "IsAutomated": "AUTOMATED",
}
WIDEST = 45
MOST = 100


def run(parsed: Parsed, engine: Engine) -> int:  # noqa: ARG001 - every verb's signature
    """Print what a registry finds."""
    from lamina_runtime.engine import filters, transfers
    from lamina_runtime.errors import UsageError

    limit = parsed.number("limit")
    if not 1 <= limit <= MOST:
        raise UsageError(f"--limit: {limit} is outside the range of [1, {MOST}]")
    wanted = filters.parse(parsed.several("filter"), ("stars", "is-official"))
    stars = wanted.get("stars", ["0"])[-1]
    if not stars.isdigit():
        raise UsageError(f"invalid filter 'stars={stars}'")
    official = filters.switch(wanted, "is-official") if "is-official" in wanted else None
    found = transfers.search(parsed.arguments[0], limit=limit, access=common.access(parsed))
    full = parsed.switch("no_trunc")
    rows = [
        {
            "Name": one.name,
            "Description": one.description if full else human.shortened(one.description, WIDEST),
            "StarCount": str(one.stars),
            "IsOfficial": "[OK]" if one.official else "",
            "IsAutomated": "[OK]" if one.automated else "",
        }
        for one in found
        if one.stars >= int(stars) and official in (None, one.official)
    ]
    table.show(
        rows,
        table.Columns(HEADINGS, ("Name", "Description", "StarCount", "IsOfficial")),
        parsed.text("format"),
    )
    return 0
