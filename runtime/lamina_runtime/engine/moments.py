"""Points in time as images and people write them, to seconds since 1970."""

from __future__ import annotations

import os
import time
from datetime import UTC

from lamina_runtime.errors import UsageError

EPOCH = "SOURCE_DATE_EPOCH"
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def from_rfc3339(text: str) -> float | None:
    """Read an image's `created`; None for what is none, as many an image has."""
    from datetime import datetime

    if not text or len(text) > 64:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def from_filter(text: str, *, now: float | None = None) -> float | None:
    """Read a filter's `until`: seconds, a length of time before now (`10m`, `1h30m`), or a date."""
    if text and text.replace(".", "", 1).isdigit() and len(text) < 24:
        return float(text)
    length = from_duration(text)
    return from_rfc3339(text) if length is None else (time.time() if now is None else now) - length


def from_duration(text: str) -> float | None:
    """Read a Go duration (`1h30m`, `1.5s`, `300ms`) as seconds; None if it is none."""
    total, number, position = 0.0, "", 0
    if not text or len(text) > 64:
        return None
    while position < len(text):
        letter = text[position]
        if letter in "0123456789.":
            number += letter
            position += 1
            continue
        unit = text[position : position + 2] if text[position : position + 2] in UNITS else letter
        if unit not in UNITS or not number.replace(".", "", 1).isdigit():
            return None
        total += float(number) * UNITS[unit]
        number = ""
        position += len(unit)
    return None if number and number != "0" else total


def creation_time() -> str:
    """Return the time to give an image: SOURCE_DATE_EPOCH if it is set."""
    text = os.environ.get(EPOCH, "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 12):
        raise UsageError(f"{EPOCH} is not a number of seconds: {text[:80]!r}")
    moment = int(text) if text else int(time.time())
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
