"""The picture of ratios: each row a line; left of 1 is faster than what is compared with.

A filled mark keeps its goal or has none, a hollow one misses it; the goals are the upright bars.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lamina_benchmarks import looks, results
from lamina_benchmarks.columns import KERNEL, PEER
from lamina_benchmarks.results import Heading, Kind, Run, Target, cost

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_INCHES = 0.27
LEGEND_INCHES = 0.6  # above the panels' titles
GOAL_COLOURS = {"root": looks.of("lamina").colour, "user": looks.of("lamina-userns").colour}
APART = ("bare", "lamina-pyfuse3", "fuse-overlayfs-userns")  # not shown: they stretch the picture
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True, slots=True)
class View:
    """What one panel shows."""

    run: Run
    placement: str
    base: str
    kind: Kind

    @property
    def ours(self) -> list[Target]:
        """Return the targets that are ours."""
        return [column for column in self.run.columns if column.name not in (*APART, KERNEL, PEER)]

    @property
    def shown(self) -> list[Target]:
        """Return the targets that have a mark, those on top last."""
        peers = [column for column in self.run.columns if column.name in (KERNEL, PEER)]
        return [column for column in [*peers, *self.ours] if column.name != self.base]

    def ratio(self, row: Heading, column: Target) -> float | None:
        """Return a row's ratio to the base."""
        return results.ratio(self.run, (row.name, self.placement, column.name), self.base, self.kind)

    def mean(self, column: Target) -> float | None:
        """Return the geometric mean of all rows' ratios to the base."""
        return results.mean(self.run, self.placement, column.name, self.base, self.kind)


def figure(run: Run, placement: str, kind: Kind) -> Figure | None:
    """Draw the ratios of a placement; None if there are none."""
    import matplotlib.pyplot as plt

    views = [View(run, placement, base, kind) for base in (KERNEL, PEER)]
    rows = [
        row
        for row in run.rows
        if row.compared and any(view.ratio(row, column) for view in views for column in view.shown)
    ]
    if not rows:
        return None
    places = _places(rows)
    bottom = max(places.values()) + 1.9
    made, panels = plt.subplots(
        1, 2, sharey=True, figsize=(13, ROW_INCHES * (bottom + 3.5)), gridspec_kw={"wspace": 0.04}
    )
    for panel, view in zip(panels, views, strict=True):
        _ground(panel, view, rows)
        _rows(panel, view, rows, places)
        _bottom_line(panel, view, bottom)
    panels[0].set_yticks([*places.values(), bottom], [row.title for row in rows] + ["geometric mean"])
    panels[0].get_yticklabels()[-1].set_fontweight("bold")
    panels[0].set_ylim(bottom + 0.8, -1.4)
    top = made.subplotpars.top + LEGEND_INCHES / made.get_figheight()
    made.legend(
        handles=_legend(run, views[0].ours),
        loc="lower center",
        bbox_to_anchor=(0.46, top),
        ncols=4,
        frameon=False,
        columnspacing=1.8,
        handletextpad=0.5,
    )
    return made


def _places(rows: list[Heading]) -> dict[str, float]:
    """Return each row's height, with a gap between groups."""
    places, at, group = {}, 0.0, rows[0].group
    for row in rows:
        if row.group != group:
            at, group = at + 0.9, row.group
        places[row.name] = at
        at += 1
    return places


def _ground(panel: Axes, view: View, rows: list[Heading]) -> None:
    """Draw everything but marks."""
    values = [view.ratio(row, column) for row in rows for column in view.shown]
    known = [value for value in values if value] or [1.0]
    least, most = min(0.3, min(known) / 1.25), max(3.0, max(known) * 1.25)
    panel.set_xscale("log")
    panel.set_xlim(least, most)
    panel.axvspan(least, 1, color=looks.GOOD, lw=0, zorder=0)
    panel.axvspan(1, most, color=looks.BAD, lw=0, zorder=0)
    panel.axvline(1, color=looks.INK, lw=1.2, zorder=1)
    # Labels at the very edge would run into the other panel's.
    panel.set_xticks([tick for tick in TICKS if least * 1.15 <= tick <= most / 1.15], minor=False)
    panel.set_xticks([], minor=True)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    panel.tick_params(axis="x", top=True, labeltop=True, bottom=True, labelbottom=True, length=3)
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="x", color="white", lw=1, zorder=0.5)
    for side in panel.spines.values():
        side.set_visible(False)
    what = "processor time" if view.kind is cost else "time"
    title = f"{what} as a multiple of {looks.of(view.base).label}'s, {view.placement}"
    panel.set_title(title, fontsize=10.5, fontweight="bold", pad=10)


def _rows(panel: Axes, view: View, rows: list[Heading], places: dict[str, float]) -> None:
    most, group = panel.get_xlim()[1], ""
    for row in rows:
        height = places[row.name]
        panel.axhline(height, color="#d8dce2", lw=0.6, zorder=0.8)
        if row.group != group:
            group = row.group
            panel.text(
                most * 0.985, height - 0.62, group, ha="right", va="center", fontsize=8, color=looks.SOFT,
                style="italic",
            )  # fmt: skip
        for who in dict.fromkeys(column.goal for column in view.ours):
            wanted = results.goal(row, Target("", "", who), view.base)
            if wanted:
                low, high = (0.02, 0.42) if who == "user" else (-0.42, -0.02)
                panel.vlines(wanted, height + low, height + high, color=GOAL_COLOURS[who], lw=2.4, zorder=2)
        for column in view.shown:
            _mark(panel, view, row, height, column)


def _mark(panel: Axes, view: View, row: Heading, height: float, column: Target) -> None:
    value = view.ratio(row, column)
    if value is None:
        return
    look, wanted = looks.of(column.name), results.goal(row, column, view.base)
    missed = wanted is not None and value > wanted
    panel.plot(
        value, height + look.lift, look.mark, ms=5.6, mew=1.3, color=look.colour, alpha=0.92,
        markerfacecolor="white" if missed else look.colour, zorder=4 if column.goal else 3,
    )  # fmt: skip


def _bottom_line(panel: Axes, view: View, height: float) -> None:
    panel.axhline(height - 0.85, color=looks.SOFT, lw=0.8)
    for column in view.shown:
        value = view.mean(column)
        if value:
            look = looks.of(column.name)
            panel.plot(value, height + 1.6 * look.lift, look.mark, ms=7, color=look.colour, zorder=4)


def _legend(run: Run, ours: list[Target]) -> list[Any]:
    from matplotlib.lines import Line2D

    def entry(mark: str, colour: str, face: str, label: str, size: float = 7) -> Line2D:
        return Line2D(
            [], [], marker=mark, ls="", color=colour, markerfacecolor=face, ms=size, mew=1.4, label=label
        )

    names = [column.name for column in run.columns if column.name not in APART]
    entries = [entry(look.mark, look.colour, look.colour, look.label) for look in map(looks.of, names)]
    entries.append(entry("o", looks.INK, "white", "hollow: misses its goal"))
    for who in dict.fromkeys(column.goal for column in ours if column.goal):
        text = "as root" if who == "root" else "as any user"
        entries.append(entry("|", GOAL_COLOURS[who], "none", f"goal {text}", 10))
    return entries
