"""The page of plots: index.html beside its pictures, readable from a file without a server."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path

from lamina_benchmarks import looks, plots
from lamina_benchmarks.columns import KERNEL, PEER
from lamina_benchmarks.results import Run, mean, met

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2430; background: #f6f7f9; margin: 0 }
main { max-width: 1180px; margin: 0 auto; padding: 2rem 1.5rem 4rem }
h1 { font-size: 1.7rem; margin: 0 0 .2rem } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem }
p.lead { color: #6b7280; margin: 0 0 1.4rem }
figure { background: #fff; border: 1px solid #e5e7eb; border-radius: 10px; margin: 0; padding: .8rem }
figure img { width: 100%; height: auto; display: block }
table { border-collapse: collapse; background: #fff; border: 1px solid #e5e7eb }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #eef0f3 }
td { font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left } th { font-weight: 600; background: #fafbfc }
td.good { color: #15803d; font-weight: 600 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1.2rem; font-size: 13px }
dt { color: #6b7280 } dd { margin: 0; overflow-wrap: anywhere }
ul { font-size: 13px }
"""


def write(run: Run, directory: Path) -> Path:
    """Write pictures and page, and return the page's path."""
    directory.mkdir(exist_ok=True)
    pictures = list(plots.draw(run, directory))
    path = directory / "index.html"
    path.write_text("\n".join(_lines(run, pictures)) + "\n", encoding="utf-8")
    return path


def _lines(run: Run, pictures: list[tuple[str, str]]) -> Iterator[str]:
    facts = run.environment
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width"><title>lamina bench</title>'
    yield f"<style>{STYLE}</style></head><body><main>"
    yield "<h1>lamina-unionfs beside kernel overlayfs and fuse-overlayfs</h1>"
    known = [str(facts.get(name, "")) for name in ("date", "kernel", "cpu")]
    lead = f"{known[0]} · Linux {known[1]} · {facts.get('cpus', '')} x {known[2]}"
    yield f'<p class="lead">{html.escape(lead)} · medians of {run.samples} samples · lower is better</p>'
    for placement in run.placements:
        yield from _means(run, placement)
    for name, caption in pictures:
        text = html.escape(caption)
        yield f'<h2 id="{name}">{text}</h2>'
        yield f'<figure><a href="{name}.png"><img src="{name}.svg" alt="{text}"></a></figure>'
    yield "<h2>Machine and programs</h2><dl>"
    for key, value in facts.items():
        yield f"<dt>{html.escape(key)}</dt><dd>{html.escape(str(value))}</dd>"
    yield "</dl>"
    if run.left_out:
        yield "<h2>Left out</h2><ul>"
        yield from (f"<li>{html.escape(reason)}</li>" for reason in run.left_out)
        yield "</ul>"
    yield "</main></body></html>"


def _means(run: Run, placement: str) -> Iterator[str]:
    yield f"<h2>Geometric means over all rows, {html.escape(placement)}</h2><table><tr><th></th>"
    yield "<th>times kernel overlayfs</th><th>times fuse-overlayfs</th><th>goals met</th></tr>"
    for column in run.columns:
        verdicts = [met(run, row, placement, column) for row in run.rows]
        known = [verdict for verdict in verdicts if verdict is not None]
        cells = []
        for base in (KERNEL, PEER):
            value = mean(run, placement, column.name, base)
            good = ' class="good"' if value is not None and value < 1 and column.goal else ""
            cells.append(f"<td{good}>{'-' if value is None else f'{value:.2f}'}</td>")
        cells.append(f"<td>{f'{sum(known)} of {len(known)}' if known else '-'}</td>")
        yield f"<tr><td>{html.escape(looks.of(column.name).label)}</td>{''.join(cells)}</tr>"
    yield "</table>"
