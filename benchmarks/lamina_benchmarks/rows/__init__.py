"""The measurements: what each does, on what, and the goals it is held to.

row       one measurement, and how much work one does
files     trees, names, copy-up, data: one kind of call at a time
projects  what people run: git, pip, make, dpkg, SQLite, Python
growth    the same work with more layers, files, names and clients
"""

from __future__ import annotations

from lamina_benchmarks.rows import files, growth, projects
from lamina_benchmarks.rows.row import FULL, QUICK, Row, Scale

__all__ = ["FULL", "QUICK", "Row", "Scale", "table"]


def table(scale: Scale) -> list[Row]:
    """Return all rows of a scale, in the order in which they are reported."""
    rows = [*files.table(scale), *projects.table(scale), *growth.table(scale)]
    return [row for row in rows if row.quick or not scale.quick]
