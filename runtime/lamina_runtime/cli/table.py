"""Listings: rows to a table, to JSON lines, or through a Go template, as `--format` says.

Theory.  The columns are laid out as Go's tabwriter does for docker: a cell is as wide as the
widest of its column in the lines next to it, at least ten, three spaces apart; what stands
behind the last tab is not padded.  The plain table needs no template and none is loaded for it.
"""

from __future__ import annotations

from lamina_runtime.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NARROWEST = 10
PADDING = 3
FORMAT_HELP = """Format output using a custom template:
'table': Print output in table format with column headers (default)
'table TEMPLATE': Print output in table format using the given Go template
'json': Print in JSON format
'TEMPLATE': Print output using the given Go template"""


class Columns:
    """What a listing can show: headings by field, and the fields of the plain table."""

    __slots__ = ("headings", "plain")

    def __init__(self, headings: Mapping[str, str], plain: Sequence[str]) -> None:
        self.headings, self.plain = headings, plain


def show(rows: Iterable[Mapping[str, object]], columns: Columns, form: str) -> None:
    """Print rows; `form` is the value of --format, "" for the plain table."""
    form = form.strip(" ")
    if form in ("", "table"):
        lines = ["\t".join(columns.headings[name] for name in columns.plain)]
        lines += ["\t".join(_cell(row[name]) for name in columns.plain) for row in rows]
        _print(align(lines))
        return
    if form == "json":
        for row in rows:
            output.line(json_line(row))
        return
    from lamina_runtime.cli.template import Fields, Template

    text = form.replace("\\t", "\t").replace("\\n", "\n")
    table = text.startswith("table") and text[5:6] in (" ", "\t", "\n")
    template = Template(text[5:].strip() if table else text)
    results = [template.render(Fields(row)) for row in rows]
    if table:
        _print(align([template.heading(Fields(columns.headings)), *results]))
    else:
        _print(results)


def json_line(row: Mapping[str, object]) -> str:
    """Write a row as Go's json.Marshal writes a map: sorted, and safe within HTML."""
    import json

    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def align(lines: Sequence[str]) -> list[str]:
    """Lay out cells that tabs end."""
    cells = [line.split("\t") for part in lines for line in part.split("\n")]
    widths: list[list[int]] = [[] for _ in cells]
    for column in range(max(map(len, cells), default=1) - 1):
        begin = 0
        while begin < len(cells):
            end = begin
            while end < len(cells) and len(cells[end]) - 1 > column:
                end += 1
            widest = max((len(row[column]) for row in cells[begin:end]), default=0)
            for row in widths[begin:end]:
                row.append(max(widest + PADDING, NARROWEST))
            begin = end + 1
    return [
        "".join(text.ljust(width) for text, width in zip(row, wide, strict=False)) + row[-1]
        for row, wide in zip(cells, widths, strict=True)
    ]


def _cell(value: object) -> str:
    """Return a value as one cell: what would break the table becomes visible."""
    text = str(value)
    return text if text.isprintable() else output.plain(text.replace("\n", " ").replace("\t", " "))


def _print(lines: Sequence[str]) -> None:
    output.write("".join(f"{line}\n" for line in lines))
