"""Sizes and times as docker prints them."""

from __future__ import annotations

import time

UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
MINUTE, HOUR, DAY = 60, 3600, 86400


def size(count: int, *, digits: int = 3) -> str:
    """Return a number of bytes in decimal units, with three digits (or four) that matter."""
    value, unit = float(count), 0
    while unit < len(UNITS) - 1 and (value >= 1000 or "e" in f"{value:.{digits}g}"):
        value /= 1000
        unit += 1
    return f"{value:.{digits}g}{UNITS[unit]}"


def binary_size(count: int) -> str:
    """Return a number of bytes in binary units, as docker shows memory: 1.5MiB."""
    value, unit = float(count), 0
    while unit < len(UNITS) - 1 and value >= 1024:
        value /= 1024
        unit += 1
    return f"{value:.4g}{UNITS[unit] if unit == 0 else UNITS[unit][0].upper() + 'iB'}"


def parse_size(text: str) -> int:
    """Read `10`, `512kB`, `1.5GB` or `64MiB`; raise ValueError for anything else."""
    digits = text.rstrip("BbiIkKmMgGtTpP ")
    suffix = text[len(digits) :].strip().lower()
    scale = suffix.rstrip("b").rstrip("i")
    if scale not in ("", "k", "m", "g", "t", "p") or not digits:
        raise ValueError(text)
    base = 1024 if "i" in suffix else 1000
    value = float(digits) * base ** " kmgtp".index(scale or " ")
    if not 0 <= value < 1 << 62:
        raise ValueError(text)
    return int(value)


def duration(seconds: float) -> str:
    """Return a length of time in words: "2 weeks"."""
    whole = int(seconds)
    hours = int(seconds / HOUR + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole < MINUTE:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if whole < HOUR:
        return "About a minute" if whole < 2 * MINUTE else f"{whole // MINUTE} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{hours // 24 // 365} years"


def since(moment: float | None, *, now: float | None = None) -> str:
    """Return how long ago a moment was; N/A if it is not known or before 1970."""
    if moment is None or moment <= 0:
        return "N/A"
    return duration((time.time() if now is None else now) - moment) + " ago"


def local(moment: float | None) -> str:
    """Return a moment as Go prints times: `2024-05-01 12:00:00 +0200 CEST`."""
    return "N/A" if moment is None else time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(moment))


def rfc3339(moment: float | None) -> str:
    """Return a moment in local time after RFC 3339, to the second."""
    if moment is None:
        return "N/A"
    text = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(moment))
    return f"{text[:-5]}Z" if text.endswith("+0000") else f"{text[:-2]}:{text[-2:]}"


def shortened(text: str, length: int) -> str:
    """Return a text cut to a length, an ellipsis as its last character if something was cut."""
    return text if len(text) <= length else text[: length - 1] + "…"
