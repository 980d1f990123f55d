"""Where fixtures are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "LAMINA_CACHE"


def root() -> Path:
    """Return the directory that all of Lamina's fixtures share: root's, or the user's own."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/tmp/lamina-cache")
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base) / "lamina"


def directory() -> Path:
    """Return the benchmark's part of it, made if need be."""
    path = root() / "bench"
    path.mkdir(parents=True, exist_ok=True)
    return path
