"""The pictures of a run, as SVG and PNG: ratios at a glance, growth, costs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lamina_benchmarks import costs, looks, ratios
from lamina_benchmarks.columns import KERNEL
from lamina_benchmarks.results import Heading, Run, cost, median, wall
from lamina_benchmarks.stored import BadFileError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

APART = ratios.APART[1:]  # not among the curves


def check() -> None:
    """Refuse if pictures cannot be made here."""
    try:
        import matplotlib as mpl
    except ImportError:
        raise BadFileError("--plots needs matplotlib: pip install 'lamina[bench]'") from None
    mpl.use("Agg")


def draw(run: Run, directory: Path) -> Iterator[tuple[str, str]]:
    """Write each picture; give its name and its caption."""
    check()
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcParams.update(looks.FONT)
        for name, caption, figure in _figures(run):
            if figure is not None:
                _write(figure, directory / name)
                yield name, caption


def _figures(run: Run) -> Iterator[tuple[str, str, Figure | None]]:
    for placement in run.placements:
        yield f"ratios-{placement}", f"Times as ratios, {placement}", ratios.figure(run, placement, wall)
    for placement in run.placements:
        series = _series(run, placement)
        caption = f"The same work with more of everything, {placement}"
        yield f"growth-{placement}", caption, _growth(run, series, placement) if series else None
    yield "costs", "What the servers cost", costs.figure(run)
    for placement in run.placements:
        caption = f"Processor time of client and server as ratios, {placement}"
        yield f"work-{placement}", caption, ratios.figure(run, placement, cost)


def _write(figure: Figure, stem: Path) -> None:
    import matplotlib.pyplot as plt

    for ending, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 150})):
        made = io.BytesIO()
        figure.savefig(made, format=ending, facecolor="white", bbox_inches="tight", pad_inches=0.2, **options)
        stem.with_suffix(f".{ending}").write_bytes(made.getvalue())
    plt.close(figure)


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
            if known and column.name not in APART:
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
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.4g}" if value < 1000 else f"{value:,.0f}")
        panel.grid(color=looks.FAINT, lw=0.7)
        panel.set_axisbelow(True)
        panel.set_xlabel(name)
        panel.set_title(_common_title(rows), fontsize=9.5, fontweight="bold")
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    panels[0][0].set_ylabel(f"ms, {placement}")
    met = {name for rows in series.values() for row in rows for name in _measured(run, row, placement)}
    names = [column.name for column in run.columns if column.name in met - set(APART)]
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
