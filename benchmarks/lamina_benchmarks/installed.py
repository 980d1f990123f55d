"""Where the programs of this installation are.

`lamina` may have been started by any Python with only the package's own directory on its path; what
is started from here needs the Python that knows all of the packages, which lies beside the command.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[1]
_NAME = "lamina-unionfs"


def _beside() -> list[Path]:
    # PREFIX/lib/python3.x/site-packages/lamina_benchmarks belongs to PREFIX/bin.
    places = [
        *(above / "bin" for above in PACKAGES.parents[2:3]),
        Path(sys.prefix) / "bin",
        Path(sys.executable).parent,
    ]
    return list(dict.fromkeys(places))


def driver() -> Path:
    """Return the driver's command, which may be missing."""
    found = [place / _NAME for place in _beside() if (place / _NAME).exists()]
    return found[0] if found else Path(shutil.which(_NAME) or _beside()[0] / _NAME)


def python() -> Path:
    """Return the Python of this installation."""
    return next(
        (path for path in (place / "python3" for place in _beside()) if path.exists()), Path(sys.executable)
    )
