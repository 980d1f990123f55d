"""`lamina system df`."""

from __future__ import annotations

from lamina_runtime.cli import common, human, output, table
from lamina_runtime.cli.flags import Command, Flag
from lamina_runtime.cli.verbs import container_ls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.container_listing import Listed
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


CONTAINERS = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
VOLUMES = {"Name": "VOLUME NAME", "Links": "LINKS", "Size": "SIZE"}


def run(parsed: Parsed, engine: Engine) -> int:
    """Print what the store, containers and volumes take."""
    from lamina_runtime.engine import container_listing, mounts, volumes

    usage = engine.store.usage()
    used = {mount.image_id for mount in mounts.active(engine)}
    containers = container_listing.chosen(engine, (), every=True)
    form = parsed.text("format")
    if not parsed.switch("verbose"):
        known = [one.container for one in containers]
        kept = [(volumes.size(one), bool(volumes.users(known, one.name))) for one in volumes.every(engine)]
        written = [(one.size(), one.state not in ("created", "exited")) for one in containers]
        rows = _rows(usage, used)
        rows[1:1] = [_total("Containers", written), _total("Local Volumes", kept)]
        table.show(rows, table.Columns(HEADINGS, tuple(HEADINGS)), form)
        return 0
    output.line("Images space usage:\n")
    table.show(_details(engine, usage, used), table.Columns(DETAILS, tuple(DETAILS)), form)
    output.line("\nContainers space usage:\n")
    shown = [container_ls.fields(engine, one, full=False, sizes=True) for one in containers]
    table.show(shown, table.Columns(container_ls.HEADINGS, CONTAINERS), form)
    output.line("\nLocal Volumes space usage:\n")
    table.show(_volumes(engine, containers), table.Columns(VOLUMES, tuple(VOLUMES)), form)
    return 0


def _total(name: str, found: Sequence[tuple[int, bool]]) -> dict[str, object]:
    """Return the row of things with sizes, of which some are in use."""
    size = sum(one for one, _ in found)
    active = [one for one, in_use in found if in_use]
    return _row(name, len(found), len(active), size, size - sum(active))


def _volumes(engine: Engine, containers: Sequence[Listed]) -> list[dict[str, object]]:
    from lamina_runtime.engine import volumes

    known = [one.container for one in containers]
    return [
        {
            "Name": one.name,
            "Links": str(len(volumes.users(known, one.name))),
            "Size": human.size(volumes.size(one)),
        }
        for one in volumes.every(engine)
    ]


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
