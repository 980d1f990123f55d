"""The directory of a test session, and the check that nothing is left in it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support import guard
from tests.support.errors import SupportError


@contextlib.contextmanager
def session_directory() -> Iterator[Path]:
    """Make a directory that every user may enter; raise SupportError if anything stays in it."""
    top = Path(tempfile.mkdtemp(prefix="lamina-test-"))
    top.chmod(0o755)
    try:
        yield top
    finally:
        left = guard.leftovers(top)
        if not left:
            shutil.rmtree(top)
    if left:
        raise SupportError("left behind: " + "; ".join(left))
