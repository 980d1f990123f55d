"""What changes from day to day is chosen by this number; LAMINA_DAY=N plays another day again."""

from __future__ import annotations

import os
import time


def today() -> int:
    """Return the number of the day, as wished or since 1970."""
    return int(os.environ.get("LAMINA_DAY") or time.time() // 86_400)
