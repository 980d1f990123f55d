"""Uppers: where a writable mount keeps what is written to it.

A fresh one lives as long as its mount.  A named one stays below the root of the images until it
is removed by name; it remembers the image it was made over, as over another it would make no sense.
"""

from __future__ import annotations

import os
import stat

from lamina_runtime.errors import LaminaError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from lamina_runtime.engine.context import Engine

LONGEST = 128
ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
FRESH = ".fresh-"


def folder(engine: Engine) -> Path:
    """Return the directory of uppers; it need not exist."""
    return engine.root / "uppers"


def checked(name: str) -> str:
    """Return a name that an upper may have; raise UsageError for another."""
    if not name or len(name) > LONGEST or not ALLOWED.issuperset(name) or name.startswith((".", "-")):
        raise UsageError(
            f"--upper: {name!r} is not a name",
            hint="letters, digits, '_', '.' and '-', beginning with none of the last two",
        )
    return name


def take(engine: Engine, name: str, image_id: str) -> Path:
    """Return the directory of a named upper, or of a fresh one for "", with upper and work in it."""
    top = folder(engine) / (checked(name) if name else FRESH + os.urandom(8).hex())
    top.mkdir(mode=0o700, parents=True, exist_ok=True)
    label = top / "image"
    if label.exists():
        known = label.read_text(encoding="utf-8").strip()
        if known != image_id:
            raise LaminaError(
                f"upper {name} belongs to another image: {known}",
                hint="mount that image, or take another upper",
            )
    (top / "upper").mkdir(mode=0o755, exist_ok=True)
    (top / "work").mkdir(mode=0o700, exist_ok=True)
    label.write_text(f"{image_id}\n", encoding="utf-8")
    return top


def remove(top: Path) -> None:
    """Remove an upper that nothing is mounted over any more, whatever modes its directories have."""
    for path, directories, _ in os.walk(top, topdown=True):
        for name in directories:
            inner = os.path.join(path, name)
            if not os.path.islink(inner) and stat.S_IMODE(os.lstat(inner).st_mode) & 0o700 != 0o700:
                os.chmod(inner, 0o700)
    import shutil

    shutil.rmtree(top)
