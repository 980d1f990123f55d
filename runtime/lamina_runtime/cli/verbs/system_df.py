"""`lamina system df`."""

from __future__ import annotations

from lamina_runtime.cli import common, human, output, table
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine
    from lamina_runtime.store.usage import Usage

COMMAND = Command(
    ("system df",),
    "[OPTIONS]",
    "Show disk usage",
    flags=(common.FORMAT, Flag("verbose", "Show detailed information on space usage", short="v")),
)
HEADINGS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
DETAILS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "Size": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "Active": "IN USE",
}


def run(parsed: Parsed, engine: Engine) -> int:
    """Print what the store takes."""
    from lamina_runtime.engine import mounts

    store = engine.store
    usage = store.usage()
    used = {mount.image_id for mount in mounts.active(engine)}
    if parsed.switch("verbose"):
        output.line("Images space usage:\n")
        table.show(
            _details(engine, usage, used), table.Columns(DETAILS, tuple(DETAILS)), parsed.text("format")
        )
        return 0
    table.show(_rows(usage, used), table.Columns(HEADINGS, tuple(HEADINGS)), parsed.text("format"))
    return 0


def _rows(usage: Usage, used: set[str]) -> list[dict[str, object]]:
    unused = sum(image.unique for image in usage.images if str(image.id) not in used and not image.in_use)
    images = sum(image.unique for image in usage.images) + _shared(usage)
    rows = [
        _row(
            "Images",
            len(usage.images),
            len([one for one in usage.images if str(one.id) in used]),
            images,
            unused,
        )
    ]
    rows += [
        _row(name, part.count, None, part.size, None)
        for name, part in (
            ("Layers", usage.layers),
            ("Blobs", usage.blobs),
            ("Metadata", usage.metadata),
            ("Transfers", usage.transfers),
        )
    ]
    rows.append(_row("Unreferenced", None, None, usage.reclaimable, usage.reclaimable))
    return rows


def _shared(usage: Usage) -> int:
    """Return what several images share, counted once as far as sizes tell: all but what is unique."""
    total = usage.total - usage.transfers.size - usage.reclaimable
    return max(total - sum(image.unique for image in usage.images), 0)


def _row(
    name: str, count: int | None, active: int | None, size: int, reclaimable: int | None
) -> dict[str, object]:
    percent = f" ({100 * reclaimable // size}%)" if reclaimable is not None and size else ""
    return {
        "Type": name,
        "TotalCount": "" if count is None else str(count),
        "Active": "" if active is None else str(active),
        "Size": human.size(size, digits=4),
        "Reclaimable": "" if reclaimable is None else human.size(reclaimable, digits=4) + percent,
    }


def _details(engine: Engine, usage: Usage, used: set[str]) -> list[dict[str, object]]:
    from lamina_runtime.engine import listing

    sizes = {image.id: image for image in usage.images}
    found: list[dict[str, object]] = []
    for row in listing.rows(engine.store, pattern="", words=()):
        size = sizes.get(row.image.id)
        if size is None:  # it came after the measuring
            continue
        found.append(
            {
                "Repository": row.reference.familiar_name if row.reference else "<none>",
                "Tag": (row.reference.tag or "<none>") if row.reference else "<none>",
                "ID": row.image.id.short,
                "CreatedSince": human.since(row.created),
                "Size": human.size(size.size),
                "SharedSize": human.size(size.shared),
                "UniqueSize": human.size(size.unique),
                "Active": "yes" if str(row.image.id) in used else "no",
            }
        )
    return found
