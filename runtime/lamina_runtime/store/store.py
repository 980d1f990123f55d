"""The front door of the store.

Listings have to answer at once, so what they do not need is imported where it is used.

Everything waits where it has to (files, locks), so callers with an event loop use threads.  All of
it is safe under threads and under several processes on one store.
"""

from __future__ import annotations

from lamina_runtime import contexts
from lamina_runtime.layer.limits import DEFAULT, Limits
from lamina_runtime.store import format as store_format
from lamina_runtime.store.errors import StoreError, reported
from lamina_runtime.store.ground import Ground
from lamina_runtime.store.images import ImageStore
from lamina_runtime.store.references import ReferenceStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.store.blobs import BlobStore
    from lamina_runtime.store.collect import Reclaimed
    from lamina_runtime.store.dedup import Deduped
    from lamina_runtime.store.layers import LayerStore
    from lamina_runtime.store.lease import Lease
    from lamina_runtime.store.problem import Problem
    from lamina_runtime.store.usage import Usage

    Progress = Callable[[str, int, int], None]


class Store:
    """One image store."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._layers: LayerStore | None = None
        self._blobs: BlobStore | None = None
        self.root = ground.place.root
        self.references = ReferenceStore(ground)
        self.images = ImageStore(ground, self.references, lambda: self.blobs, lambda: self.layers)

    @property
    def layers(self) -> LayerStore:
        """The layers: each as its tar."""
        if self._layers is None:
            from lamina_runtime.store.layers import LayerStore

            self._layers = LayerStore(self._ground)
        return self._layers

    @property
    def blobs(self) -> BlobStore:
        """Content by digest."""
        if self._blobs is None:
            from lamina_runtime.store.blobs import BlobStore

            self._blobs = BlobStore(self._ground, self.layers.open_known)
        return self._blobs

    @classmethod
    def open(cls, root: Path, *, create: bool = True, limits: Limits = DEFAULT) -> Store:
        """Open the store at `root`, or make one there; raises StoreError for formats we do not know."""
        with reported(root):
            place, stranger = store_format.open_place(root, create_missing=create)
            return cls(Ground(place, limits, stranger))

    def lease(self, reason: str) -> AbstractContextManager[Lease]:
        """Protect from collect() what is added or asked for through this object meanwhile, by any thread."""
        return self._ground.lease(reason)

    def end_lease(self, name: str) -> bool:
        """End a lease that was kept or handed over; say whether it was there."""
        return self._ground.end_lease(name)

    def changing(self) -> AbstractContextManager[None]:
        """Keep others from changing which images and names there are.

        For what is decided by looking at them: inside, this thread looks, decides and changes.  It
        is held for moments; whoever has a lock that is taken inside must not ask for this one.
        """
        return self._ground.changing()

    def unchanging(self) -> AbstractContextManager[None]:
        """See to it that nobody changes which images and names there are meanwhile.

        For whoever notes elsewhere that an image is in use; also where the store can only be read.
        """
        return self._ground.unchanging()

    def collect(self, *, dry_run: bool = False, only: Collection[Digest] | None = None) -> Reclaimed:
        """Remove what neither an image nor a lease needs; with `only`, nothing but what that names."""
        from lamina_runtime.store.collect import collect

        return collect(self._ground, dry_run=dry_run, only=only)

    @contexts.contextmanager
    def attempt(self, reason: str) -> Iterator[Lease]:
        """Give a lease for something that leaves nothing if it fails: what it brought is taken back.

        But for what is in the lease's `lasting`, which the next attempt need not bring again.
        """
        with contexts.ExitStack() as stack:
            lease = stack.enter_context(self.lease(reason))
            try:
                yield lease
            except BaseException:
                stack.close()
                with contexts.suppress(StoreError):  # what happened first is what is told
                    self.collect(only=lease.brought - lease.lasting)
                raise

    def check(self, *, full: bool, progress: Progress | None = None) -> list[Problem]:
        """Return what is wrong, sorted.  `full` hashes everything, otherwise sums are compared.

        `progress` is called with what was looked at, how many things were, and how many there are.
        """
        from lamina_runtime.store.check import check

        return check(self._ground, full=full, progress=progress)

    def dedup(self, *, progress: Progress | None = None) -> Deduped:
        """Keep content that is in several layers once; layers in use stay as they are."""
        from lamina_runtime.store.dedup import dedup

        return dedup(self._ground, progress=progress)

    def usage(self) -> Usage:
        """Measure what is here and what it is for."""
        from lamina_runtime.store.usage import usage

        return usage(self._ground)
