"""Threads in a row: each takes pieces from a short queue, so that work overlaps in bounded memory.

Theory.  Hashing, decompressing and writing let go of the interpreter's lock, so a thread for each
fills as many cores as there are.  The first failure anywhere ends all of it: every later put()
raises it, and threads that fail keep emptying their queues so that nobody waits for them.

What is small is done at once by whoever brings it (Direct): to wake a thread for it takes longer.
"""

from __future__ import annotations

from _thread import allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    import queue
    from collections.abc import Callable
    from typing import Protocol

    class Stage(Protocol):
        """Does something with each piece, in order."""

        def put(self, piece: bytes) -> None:
            """Hand over a piece; raises what any stage has failed with."""

        def join(self) -> None:
            """Wait until all pieces are done; the caller puts none from now on."""


DEPTH = 4  # pieces that may wait for a thread


class Failure:
    """The first failure of several threads."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._first: BaseException | None = None

    def set(self, exc: BaseException) -> None:
        """Note a failure, unless there was one."""
        with self._lock:
            self._first = self._first or exc

    def __bool__(self) -> bool:
        return self._first is not None

    def check(self) -> None:
        """Raise what was noted."""
        if self._first is not None:
            raise self._first


class Direct:
    """Does it in the caller's thread."""

    def __init__(
        self,
        _name: str,
        work: Callable[[bytes], None],
        failure: Failure,
        *,
        last: Callable[[], None] | None = None,
    ) -> None:
        self._work, self._last, self._failure = work, last, failure

    def put(self, piece: bytes) -> None:
        """Do something with a piece."""
        self._failure.check()
        self._guarded(lambda: self._work(piece))

    def join(self) -> None:
        """Do what comes last."""
        if self._last is not None and not self._failure:
            self._guarded(self._last)

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as exc:  # noqa: BLE001 - carried over to whoever ends the row
            self._failure.set(exc)


class Threaded:
    """One thread that does something with each piece, in order."""

    def __init__(
        self,
        name: str,
        work: Callable[[bytes], None],
        failure: Failure,
        *,
        last: Callable[[], None] | None = None,
    ) -> None:
        import queue
        import threading

        self._work, self._last, self._failure = work, last, failure
        self._queue: queue.Queue[bytes | None] = queue.Queue(DEPTH)
        self._thread = threading.Thread(target=self._run, name=f"lamina-{name}", daemon=True)
        self._thread.start()

    def put(self, piece: bytes) -> None:
        """Hand over a piece; waits while the queue is full."""
        self._failure.check()
        self._queue.put(piece)

    def join(self) -> None:
        """End the thread after the last piece."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (piece := self._queue.get()) is not None:
                if not self._failure:
                    self._work(piece)
            if self._last is not None and not self._failure:
                self._last()
        except BaseException as exc:  # noqa: BLE001 - carried over to whoever waits
            self._failure.set(exc)
            while piece is not None:
                piece = self._queue.get()
