"""What a registry says about how often it may still be asked (`RateLimit-*`, as Docker Hub sends them)."""

import re
from collections.abc import Callable
from dataclasses import dataclass

_VALUE = re.compile(r"\s*(\d{1,9})\s*(?:;.*?\bw=(\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Of `limit` pulls in `window` seconds `remaining` are left; 0 for what was not said."""

    limit: int
    remaining: int
    window: int

    @classmethod
    def of(cls, header: Callable[[str], str | None]) -> "RateLimit | None":
        """Read an answer's headers; None if there is nothing of the kind."""
        remaining = _VALUE.match(header("ratelimit-remaining") or "")
        limit = _VALUE.match(header("ratelimit-limit") or "")
        if remaining is None:
            return None
        window = remaining[2] or (limit[2] if limit else None) or "0"
        return cls(int(limit[1]) if limit else 0, int(remaining[1]), int(window))
