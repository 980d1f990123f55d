"""What the parts of a store share: its paths, its lock, its open leases."""

from __future__ import annotations

import errno
from _thread import allocate_lock

from lamina_runtime import contexts
from lamina_runtime.store import files, lease, locks
from lamina_runtime.store.errors import reported, strange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from lamina_runtime.layer.limits import Limits
    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.store.lease import Lease
    from lamina_runtime.store.place import Place


class Ground:
    """One open store; safe under threads."""

    def __init__(self, place: Place, limits: Limits, stranger: str = "") -> None:
        self.place, self.limits = place, limits
        self._stranger = stranger  # what of it belongs to another, so that we only read here
        self._store, self._records = locks.Held(place.lock), locks.Held(place.records)
        self._leases: set[Lease] = set()
        self._lock = allocate_lock()
        self._skipped: set[str] = set()

    def skip(self, error: Exception) -> None:
        """Warn, once, of a record that a listing does without."""
        if str(error) not in self._skipped:
            import logging

            self._skipped.add(str(error))
            logging.getLogger(__name__).warning("warning: left out: %s (see 'lamina store check')", error)

    def reported(self) -> AbstractContextManager[None]:
        """Turn errors of the disk into errors of the store."""
        return reported(self.place.root)

    @contexts.contextmanager
    def together(self) -> Iterator[None]:
        """Add, or rely on what is there; errors of the disk become errors of the store."""
        with self.reported(), self._store.together():
            yield

    def writable(self) -> None:
        """Refuse to write where the store is another's."""
        if self._stranger:
            raise strange(self.place.root, self._stranger)

    @contexts.contextmanager
    def adding(self) -> Iterator[None]:
        """Add something new."""
        self.writable()
        with self.together():
            yield

    @contexts.contextmanager
    def alone(self) -> Iterator[None]:
        """Take away."""
        self.writable()
        with self.reported(), self._store.alone():
            yield

    @contexts.contextmanager
    def changing(self) -> Iterator[None]:
        """Change which images and names there are, one at a time."""
        with self.adding(), self._records.alone():
            yield

    @contexts.contextmanager
    def unchanging(self) -> Iterator[None]:
        """Look at several records that have to fit."""
        with self.together(), self._records.together():
            yield

    def rely(self, digest: Digest) -> None:
        """Note something in every open lease; inside of together(), before it is looked at."""
        for each in self._open():
            each.hold(digest)

    def bring(self, digest: Digest) -> None:
        """Note as rely() does that something new is added."""
        for each in self._open():
            each.hold(digest)
            each.brought.add(digest)

    def _open(self) -> tuple[Lease, ...]:
        with self._lock:
            return tuple(self._leases)

    def end_lease(self, name: str) -> bool:
        """End a lease by its name; say whether it was there."""
        path = self.place.leases / name
        if path.parent != self.place.leases:
            return False
        with self.adding():
            return files.remove(path)

    @contexts.contextmanager
    def lease(self, reason: str) -> Iterator[Lease]:
        """Open a lease; everything that threads of this process do with the store is noted in it."""
        opened = self._opened_lease(reason)
        if opened is None:
            with contexts.ExitStack() as stack:
                with self.reported():  # not Held: it may end in another thread
                    stack.enter_context(locks.together(self.place.lock))
                yield lease.unwritten(self.place.leases, self.together)
            return
        with self._lock:
            self._leases.add(opened)
        try:
            yield opened
        finally:
            with self._lock:
                self._leases.discard(opened)
            opened.close()

    def _opened_lease(self, reason: str) -> Lease | None:
        """Return a lease that is written down, None if we may only read here."""
        if self._stranger:
            return None
        with self.together():
            try:
                return lease.open_lease(self.place.leases, reason, self.together)
            except OSError as exc:
                if exc.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                    return None
                raise
