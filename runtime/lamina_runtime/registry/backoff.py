"""When to try again, and how long to wait before.

Theory. Exponential backoff with full jitter (each wait is random up to the step), so that many clients that
fail together do not come back together. A server's Retry-After is a lower bound. All waits of one operation
share a budget: a server cannot keep us waiting for longer by any answers.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime

RETRIED = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long; seconds."""

    attempts: int = 6
    step: float = 0.5  # the first wait is at most this
    longest: float = 20.0
    budget: float = 120.0  # for all waits together


class Backoff:
    """The waits of one operation."""

    def __init__(self, policy: RetryPolicy, *, chance: random.Random | None = None) -> None:
        self._policy, self._chance = policy, chance or random.Random()
        self._left = policy.budget
        self._failures = 0

    def progressed(self) -> None:
        """Forget failures: since the last one something was transferred."""
        self._failures = 0

    def wait(self, retry_after: float | None = None) -> float | None:
        """Return how long to wait before the next attempt; None if there shall be none."""
        self._failures += 1
        if self._failures >= self._policy.attempts:
            return None
        step = min(self._policy.step * 2 ** min(self._failures - 1, 16), self._policy.longest)
        pause = max(self._chance.uniform(step / 8, step), retry_after or 0.0)
        if pause > self._left:
            return None
        self._left -= pause
        return pause


def retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for (a number or a date)."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        import email.utils  # who is told to wait has the time

        when = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
