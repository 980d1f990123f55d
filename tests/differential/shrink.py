"""Cut a failing sequence down: delta debugging over a list, with a bound on tries."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def shrink(items: list[T], fails: Callable[[list[T]], bool], *, tries: int) -> list[T]:
    """Return a sublist that still fails and from which (within `tries`) no piece can go.

    Zeller's ddmin without the subset step: drop ever smaller pieces, from the end first,
    since what comes late rarely matters for what came before.
    """
    piece = max(1, len(items) // 2)
    while tries > 0:
        position = len(items)
        removed = False
        while position > 0 and tries > 0:
            start = max(0, position - piece)
            candidate = items[:start] + items[position:]
            tries -= 1
            if fails(candidate):
                items = candidate
                removed = True
            position = start
        if piece == 1 and not removed:
            break
        piece = max(1, piece // 2) if not removed or piece > len(items) else piece
    return items
