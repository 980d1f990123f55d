"""Where a program is: shutil.which without shutil, which loads every kind of compression with it."""

from __future__ import annotations

import os
import stat


def which(name: str) -> str | None:
    """Return the path of the first program of that name on PATH, None where there is none."""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or os.curdir, name)
        try:
            mode = os.stat(path).st_mode
        except OSError:
            continue
        if stat.S_ISREG(mode) and os.access(path, os.X_OK):
            return path
    return None
