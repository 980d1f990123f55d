"""Pictures of a run: ratios at a glance, growth, costs.

In the picture of ratios each row is a line, left of 1 is faster than what is compared with; a
filled mark keeps its goal or has none, a hollow one misses it, the goals are the upright bars.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamina_benchmarks import costs, looks
from lamina_benchmarks.columns import KERNEL, PEER
from lamina_benchmarks.results import Heading, Run, Target, goal, mean, median, ratio
from lamina_benchmarks.stored import BadFileError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_INCHES = 0.27
LEGEND_INCHES = 0.6  # above the panels' titles
GOAL_COLOURS = {"root": looks.of("lamina").colour, "user": looks.of("lamina-userns").colour}
APART = ("bare", "lamina-pyfuse3", "fuse-overlayfs-userns")  # not in the picture of ratios: they stretch it
TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def check() -> None:
    """Refuse if pictures cannot be made here."""
    try:
        import matplotlib as mpl
    except ImportError:
        raise BadFileError("--plots needs matplotlib: pip install 'lamina[bench]'") from None
    mpl.use("Agg")


def draw(run: Run, directory: Path) -> Iterator[tuple[str, str]]:
    """Write each picture as SVG and PNG; give its name and its caption."""
    check()
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcParams.update(looks.FONT)
        for placement in run.placements:
            rows = [row for row in run.rows if _has_ratio(run, row, placement)]
            if rows:
                _write(_ratios(run, rows, placement), directory / f"ratios-{placement}")
                yield f"ratios-{placement}", f"Times as ratios, {placement}"
        for placement in run.placements:
            series = _series(run, placement)
            if series:
                _write(_growth(run, series, placement), directory / f"growth-{placement}")
                yield f"growth-{placement}", f"The same work with more of everything, {placement}"
        figure = costs.figure(run)
        if figure is not None:
            _write(figure, directory / "costs")
            yield "costs", "What the servers cost"


def _write(figure: Figure, stem: Path) -> None:
    import matplotlib.pyplot as plt

    for ending, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 150})):
        made = io.BytesIO()
        figure.savefig(made, format=ending, facecolor="white", bbox_inches="tight", pad_inches=0.2, **options)
        stem.with_suffix(f".{ending}").write_bytes(made.getvalue())
    plt.close(figure)


# ---- ratios ----


def _has_ratio(run: Run, row: Heading, placement: str) -> bool:
    return row.compared and any(
        ratio(run, (row.name, placement, column.name), base)
        for column in run.columns
        for base in (KERNEL, PEER)
        if column.name != base
    )


def _shown(run: Run) -> list[Target]:
    return [column for column in run.columns if column.name not in (*APART, KERNEL, PEER)]


def _ratios(run: Run, rows: list[Heading], placement: str) -> Figure:
    import matplotlib.pyplot as plt

    places = _places(rows)
    bottom = max(places.values()) + 1.9
    figure, panels = plt.subplots(
        1, 2, sharey=True, figsize=(13, ROW_INCHES * (bottom + 3.5)), gridspec_kw={"wspace": 0.04}
    )
    for panel, base in zip(panels, (KERNEL, PEER), strict=True):
        _panel(panel, run, rows, places, bottom, placement, base)
    panels[0].set_yticks([*places.values(), bottom], [row.title for row in rows] + ["geometric mean"])
    panels[0].get_yticklabels()[-1].set_fontweight("bold")
    panels[0].set_ylim(bottom + 0.8, -1.4)
    top = figure.subplotpars.top + LEGEND_INCHES / figure.get_figheight()
    figure.legend(
        handles=_legend(run),
        loc="lower center",
        bbox_to_anchor=(0.46, top),
        ncols=4,
        frameon=False,
        columnspacing=1.8,
        handletextpad=0.5,
    )
    return figure


def _places(rows: list[Heading]) -> dict[str, float]:
    """Return each row's height, with a gap between groups."""
    places, at, group = {}, 0.0, rows[0].group
    for row in rows:
        if row.group != group:
            at, group = at + 0.9, row.group
        places[row.name] = at
        at += 1
    return places


def _panel(
    panel: Axes,
    run: Run,
    rows: list[Heading],
    places: dict[str, float],
    bottom: float,
    placement: str,
    base: str,
) -> None:
    least, most = _range(run, rows, placement, base)
    panel.set_xscale("log")
    panel.set_xlim(least, most)
    panel.axvspan(least, 1, color=looks.GOOD, lw=0, zorder=0)
    panel.axvspan(1, most, color=looks.BAD, lw=0, zorder=0)
    panel.axvline(1, color=looks.INK, lw=1.2, zorder=1)
    panel.set_xticks([tick for tick in TICKS if least <= tick <= most], minor=False)
    panel.set_xticks([], minor=True)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    panel.tick_params(axis="x", top=True, labeltop=True, bottom=True, labelbottom=True, length=3)
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="x", color="white", lw=1, zorder=0.5)
    for side in panel.spines.values():
        side.set_visible(False)
    name = looks.of(base).label
    panel.set_title(f"time as a multiple of {name}'s, {placement}", fontsize=11, fontweight="bold", pad=10)
    group = ""
    for row in rows:
        height = places[row.name]
        panel.axhline(height, color="#d8dce2", lw=0.6, zorder=0.8)
        if row.group != group:
            group = row.group
            panel.text(
                most * 0.985, height - 0.62, group, ha="right", va="center", fontsize=8, color=looks.SOFT,
                style="italic",
            )  # fmt: skip
        _goals(panel, run, row, height, base)
        _marks(panel, run, row, height, placement, base)
    _bottom_line(panel, run, bottom, placement, base)


def _range(run: Run, rows: list[Heading], placement: str, base: str) -> tuple[float, float]:
    names = [column.name for column in [*_shown(run), *_peer(run, base)]]
    values = [ratio(run, (row.name, placement, name), base) for row in rows for name in names]
    known = [value for value in values if value] or [1.0]
    return min(0.3, min(known) / 1.25), max(3.0, max(known) * 1.25)


def _peer(run: Run, base: str) -> list[Target]:
    return [column for column in run.columns if column.name in (KERNEL, PEER) and column.name != base]


def _goals(panel: Axes, run: Run, row: Heading, height: float, base: str) -> None:
    for who in dict.fromkeys(column.goal for column in _shown(run)):
        wanted = goal(row, Target("", "", who), base)
        if wanted:
            low, high = (0.02, 0.42) if who == "user" else (-0.42, -0.02)
            panel.vlines(wanted, height + low, height + high, color=GOAL_COLOURS[who], lw=2.4, zorder=2)


def _marks(panel: Axes, run: Run, row: Heading, height: float, placement: str, base: str) -> None:
    for column in [*_peer(run, base), *_shown(run)]:
        value = ratio(run, (row.name, placement, column.name), base)
        if value is None:
            continue
        look, wanted = looks.of(column.name), goal(row, column, base)
        missed = wanted is not None and value > wanted
        panel.plot(
            value, height + look.lift, look.mark, ms=5.6, mew=1.3, color=look.colour, alpha=0.92,
            markerfacecolor="white" if missed else look.colour, zorder=4 if column.goal else 3,
        )  # fmt: skip


def _bottom_line(panel: Axes, run: Run, height: float, placement: str, base: str) -> None:
    panel.axhline(height - 0.85, color=looks.SOFT, lw=0.8)
    for column in [*_peer(run, base), *_shown(run)]:
        value = mean(run, placement, column.name, base)
        if value:
            look = looks.of(column.name)
            panel.plot(value, height + 1.6 * look.lift, look.mark, ms=7, color=look.colour, zorder=4)


def _legend(run: Run) -> list[Any]:
    from matplotlib.lines import Line2D

    def entry(mark: str, colour: str, face: str, label: str, size: float = 7) -> Line2D:
        return Line2D(
            [], [], marker=mark, ls="", color=colour, markerfacecolor=face, ms=size, mew=1.4, label=label
        )

    names = [column.name for column in run.columns if column.name not in APART]
    entries = [entry(look.mark, look.colour, look.colour, look.label) for look in map(looks.of, names)]
    entries.append(entry("o", looks.INK, "white", "hollow: misses its goal"))
    for who in dict.fromkeys(column.goal for column in _shown(run) if column.goal):
        text = "as root" if who == "root" else "as any user"
        entries.append(entry("|", GOAL_COLOURS[who], "none", f"goal {text}", 10))
    return entries


# ---- growth ----


def _series(run: Run, placement: str) -> dict[str, list[Heading]]:
    found: dict[str, list[Heading]] = {}
    for row in run.rows:
        if row.series and median(run.cells.get((row.name, placement, KERNEL))) is not None:
            found.setdefault(row.series, []).append(row)
    return {name: sorted(rows, key=lambda row: row.x) for name, rows in found.items() if len(rows) > 1}


def _growth(run: Run, series: dict[str, list[Heading]], placement: str) -> Figure:
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator, NullLocator

    figure, panels = plt.subplots(1, len(series), figsize=(3.7 * len(series), 3.5), squeeze=False)
    for panel, (name, rows) in zip(panels[0], series.items(), strict=True):
        for column in run.columns:
            points = [(row.x, median(run.cells.get((row.name, placement, column.name)))) for row in rows]
            known = [(x, value) for x, value in points if value is not None]
            if known and column.name not in APART[1:]:
                look = looks.of(column.name)
                panel.plot(
                    *zip(*known, strict=True), marker=look.mark, ms=5, lw=1.6, color=look.colour, alpha=0.9
                )  # fmt: skip
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xticks([row.x for row in rows], [_short(row.x) for row in rows])
        panel.set_xticks([], minor=True)
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.4g}")
        panel.grid(color=looks.FAINT, lw=0.7)
        panel.set_axisbelow(True)
        panel.set_xlabel(name)
        panel.set_title(_common_title(rows), fontsize=9.5, fontweight="bold")
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    panels[0][0].set_ylabel(f"ms, {placement}")
    met = {name for rows in series.values() for row in rows for name in _measured(run, row, placement)}
    names = [column.name for column in run.columns if column.name in met - set(APART[1:])]
    handles = [
        Line2D([], [], marker=look.mark, color=look.colour, lw=1.6, ms=5, label=look.label)
        for look in map(looks.of, names)
    ]
    figure.tight_layout()
    figure.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=4, frameon=False)
    return figure


def _measured(run: Run, row: Heading, placement: str) -> list[str]:
    return [
        column.name for column in run.columns if median(run.cells.get((row.name, placement, column.name)))
    ]


def _short(number: int) -> str:
    for size, letter in ((1_000_000, "M"), (1000, "k")):
        if number >= size and number % size == 0:
            return f"{number // size}{letter}"
    return str(number)


def _common_title(rows: list[Heading]) -> str:
    """Return what the rows of a series do, without how many."""
    title = rows[0].title
    return {"layers": title.rpartition(",")[0], "files": "walk, cold"}.get(
        rows[0].series, title.rpartition(",")[0]
    )
