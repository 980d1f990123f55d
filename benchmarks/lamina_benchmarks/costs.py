"""The picture of what servers cost: processor time, memory, requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina_benchmarks import looks
from lamina_benchmarks.columns import PEER
from lamina_benchmarks.results import Heading, Run, common, median, served

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_EACH = 12.0  # requests an operation: transactions take more and stand at the edge


def servers(run: Run) -> list[str]:
    """Return the columns that have a server."""
    return [column.name for column in run.columns if column.kind in ("lamina", PEER)]


def counted(run: Run) -> list[Heading]:
    """Return the rows whose requests were counted, and whose operations are."""
    return [
        row
        for row in run.rows
        if row.operations > 1 and any(_each(run, row, name) is not None for name in servers(run))
    ]


def figure(run: Run) -> Figure | None:
    """Draw it; None if the run had no servers."""
    import matplotlib.pyplot as plt

    names = [name for name in servers(run) if name != "lamina-pyfuse3"]
    placement = run.placements[0]
    rows = common(run, placement, names)
    if not names or not rows:
        return None
    asked = counted(run)
    height = max(2.6, 0.24 * len(asked) + 1.2)
    made, panels = plt.subplots(
        1, 4, figsize=(13, height), gridspec_kw={"width_ratios": (1, 1, 0.8, 1.6), "wspace": 0.12}
    )
    seconds = [
        sum(median(run.cells[row.name, placement, name], served) or 0 for row in rows) / 1000
        for name in names
    ]
    memory = [
        max((cell.rss_kib for (_, _, column), cell in run.cells.items() if column == name), default=0) / 1024
        for name in names
    ]
    _bars(panels[0], names, seconds, f"servers' processor time, s\n{len(rows)} rows, {placement}")
    _bars(panels[1], names, memory, "their greatest memory, MiB\nresident, all rows")
    panels[1].set_yticks([])
    panels[2].set_visible(False)  # room for the names of rows
    _requests(panels[3], run, asked)
    return made


def _bars(panel: Axes, names: list[str], values: list[float], title: str) -> None:
    _plain(panel, title)
    panel.barh(names, values, color=[looks.of(name).colour for name in names], height=0.62, alpha=0.9)
    panel.set_yticks(range(len(names)), [looks.of(name).label for name in names])
    panel.invert_yaxis()
    panel.set_xticks([])
    for at, value in enumerate(values):
        panel.text(value, at, f" {value:,.1f}", va="center", fontsize=8.5)
    panel.set_xlim(0, max(values, default=1.0) * 1.18 or 1.0)


def _requests(panel: Axes, run: Run, rows: list[Heading]) -> None:
    _plain(panel, "requests for each operation")
    if not rows:
        panel.text(0.5, 0.5, "not counted", ha="center", transform=panel.transAxes, color=looks.SOFT)
        panel.set_yticks([])
        panel.set_xticks([])
        return
    for at, row in enumerate(rows):
        panel.axhline(at, color=looks.FAINT, lw=0.7, zorder=0)
        for name in servers(run):
            each = _each(run, row, name)
            if each is not None:
                look = looks.of(name)
                panel.plot(
                    min(each, MOST_EACH), at + look.lift, look.mark, color=look.colour, ms=5, alpha=0.9
                )
    panel.set_yticks(range(len(rows)), [row.title for row in rows])
    panel.invert_yaxis()
    panel.set_xlim(left=-0.2)
    panel.grid(axis="x", color=looks.FAINT, lw=0.7)


def _each(run: Run, row: Heading, name: str) -> float | None:
    for placement in run.placements:
        cell = run.cells.get((row.name, placement, name))
        if cell is not None and cell.requests:
            return sum(cell.requests.values()) / row.operations
    return None


def _plain(panel: Axes, title: str) -> None:
    panel.set_title(title, fontsize=10, fontweight="bold", loc="left")
    panel.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
