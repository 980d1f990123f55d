"""Where a target is known to differ, and the paragraph of docs/conformance.md that says why.

Patterns are matched against `target/placement/theme/case`.  An entry is a strict expected
failure: the day the difference goes, its test fails until the entry goes too.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

KNOWN: tuple[tuple[str, str], ...] = ()


def deviation(cell: str) -> str | None:
    """Return the anchor in docs/conformance.md for a known deviation."""
    return next((anchor for pattern, anchor in KNOWN if fnmatchcase(cell, pattern)), None)
