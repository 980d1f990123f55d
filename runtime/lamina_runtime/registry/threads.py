"""Work beside the event loop: blocking context managers, several tasks with one failure.

Theory. The store is synchronous and each of its calls may wait for a disk, so none runs in the event loop.
When one of several transfers fails the others are cancelled and keep what they have; the user gets to see
the failure, not a group of it and its consequences.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from typing import TypeVar

import trio

from lamina_runtime.errors import LaminaError

T = TypeVar("T")


@contextlib.asynccontextmanager
async def entered(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a blocking context manager in threads; leaving is not cut short by a cancellation."""
    value = await trio.to_thread.run_sync(manager.__enter__)
    try:
        yield value
    except BaseException as exc:
        with trio.CancelScope(shield=True):  # as long as leaving takes: it gives locks back
            swallowed = await trio.to_thread.run_sync(manager.__exit__, type(exc), exc, exc.__traceback__)
        if not swallowed:
            raise
    else:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(manager.__exit__, None, None, None)


async def for_all(items: Iterable[T], work: Callable[[T], Awaitable[None]], *, limit: int) -> None:
    """Do `work` for each item, at most `limit` at a time; raises the first failure."""
    places = trio.CapacityLimiter(limit)

    async def one(item: T) -> None:
        async with places:
            await work(item)

    try:
        async with trio.open_nursery() as nursery:
            for item in items:
                nursery.start_soon(one, item)
    except BaseExceptionGroup as group:
        failure = _first(group)
        if failure is None:
            raise
        raise failure from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """Return the failure to show, unless there is something in the group that is more than a failure."""
    known, rest = group.split((LaminaError, OSError))
    if rest is not None or known is None:
        return None
    one: BaseException = known
    while isinstance(one, BaseExceptionGroup):
        one = one.exceptions[0]
    return one
