"""`lamina images`, `lamina image ls`."""

from __future__ import annotations

from lamina_runtime.cli import common, human, output, table
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine
    from lamina_runtime.engine.listing import Row

COMMAND = Command(
    ("images", "image ls", "image list"),
    "[OPTIONS] [REPOSITORY[:TAG]]",
    "List images",
    flags=(
        Flag("all", "Show all images (there are no intermediate ones to hide)", short="a"),
        Flag("digests", "Show digests"),
        common.FILTER,
        common.FORMAT,
        common.NO_TRUNC,
        Flag("quiet", "Only show image IDs", short="q"),
        Flag("tree", "List each image with its platforms, also those that are not here"),
    ),
    arguments=(0, 1),
    details="Filters: dangling=BOOL, label=KEY[=VALUE], before=IMAGE, since=IMAGE, until=TIME,\n"
    "reference=PATTERN",
)
HEADINGS = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Containers": "CONTAINERS",
    "VirtualSize": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
}
TREE = {name: name for name in ("IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA")}
PLAIN = ("Repository", "Tag", "ID", "CreatedSince", "Size")
NONE = "<none>"


def run(parsed: Parsed, engine: Engine) -> int:
    """Print the images."""
    from lamina_runtime.engine import listing

    pattern = parsed.arguments[0] if parsed.arguments else ""
    if parsed.switch("tree"):
        return _show_tree(parsed, engine, pattern)
    rows = listing.rows(engine.store, pattern=pattern, words=parsed.several("filter"))
    full = parsed.switch("no_trunc")
    if parsed.switch("quiet") and not parsed.text("format"):
        for row in rows:
            output.line(_id(row, full=full))
        return 0
    plain = ("Repository", "Tag", "Digest", *PLAIN[2:]) if parsed.switch("digests") else PLAIN
    shown = [_fields(row, full=full) for row in rows]
    table.show(shown, table.Columns(HEADINGS, plain), parsed.text("format"))
    return 0


def _show_tree(parsed: Parsed, engine: Engine, pattern: str) -> int:
    from lamina_runtime.engine import image_tree
    from lamina_runtime.errors import UsageError

    for key in ("quiet", "no_trunc", "digests", "format"):
        if key in parsed.given:
            raise UsageError(f"--{key.replace('_', '-')} is not yet supported with --tree")
    rows: list[dict[str, object]] = []
    for top in image_tree.tops(engine, pattern=pattern, words=parsed.several("filter")):
        disk, content = (sum(column) for column in zip(*[each[2:4] for each in top.variants], strict=True))
        name = top.reference.familiar if top.reference else "<untagged>"
        rows.append(_node(name, top.digest.short, disk, content, any(each.in_use for each in top.variants)))
        for each in top.variants:
            branch = "└─" if each is top.variants[-1] else "├─"
            rows.append(
                _node(f"{branch} {each.platform}", each.digest.short, each.disk, each.content, each.in_use)
            )
    table.show(rows, table.Columns(TREE, tuple(TREE)), "")
    return 0


def _node(name: str, digest: str, disk: int, content: int, in_use: bool) -> dict[str, object]:  # noqa: FBT001
    values = (name, digest, human.size(disk), human.size(content), "U" if in_use else "")
    return dict(zip(TREE, values, strict=True))


def _id(row: Row, *, full: bool) -> str:
    return str(row.image.id) if full else row.image.id.short


def _fields(row: Row, *, full: bool) -> dict[str, object]:
    size = human.size(row.image.size)
    return {
        "ID": _id(row, full=full),
        "Repository": row.reference.familiar_name if row.reference else NONE,
        "Tag": row.reference.tag if row.reference else NONE,
        "Digest": str(row.digest) if row.digest else NONE,
        "CreatedSince": human.since(row.created),
        "CreatedAt": human.local(row.created),
        "Size": size,
        "Containers": "N/A",
        "VirtualSize": size,
        "SharedSize": "N/A",
        "UniqueSize": "N/A",
    }
