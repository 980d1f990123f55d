"""Points in time as images and people write them, to seconds since 1970."""

from __future__ import annotations

import os
import time

from lamina_runtime.errors import UsageError

EPOCH = "SOURCE_DATE_EPOCH"
_EPOCH_DAY = 719_469  # 1970-01-01, counted as below
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def from_rfc3339(text: str) -> float | None:
    """Read an image's `created`; None for what is none, as many an image has."""
    if not text or len(text) > 64:
        return None
    if (moment := _usual(text)) is not None:
        return moment
    from datetime import UTC, datetime

    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _usual(text: str) -> float | None:
    """Read 2024-01-31T12:00:00[.5]Z, which nearly all are, without loading datetime; else None."""
    form = "".join("0" if letter in "0123456789" else letter for letter in text[:19])
    fraction = text[19:-1]
    if form != "0000-00-00T00:00:00" or text[-1] != "Z":
        return None
    if fraction and not (fraction[0] == "." and fraction[1:].isascii() and fraction[1:].isdigit()):
        return None
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    hour, minute, second = int(text[11:13]), int(text[14:16]), int(text[17:19])
    if not (year and 1 <= month <= 12 and 1 <= day <= 28 and hour < 24 and minute < 60 and second < 60):
        return None  # the ends of months are left to the calendar
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)  # years from March on
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - _EPOCH_DAY
    return float(days * 86400 + hour * 3600 + minute * 60 + second) + float(f"0{fraction}" if fraction else 0)


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


def now() -> str:
    """Return this moment as RFC 3339 has it, to the microsecond."""
    seconds, rest = divmod(time.time_ns(), 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 1000:06}Z"
