"""Content by digest, byte for byte as it was received.

A layer that came uncompressed is not here but among the layers' tars; it is found all the same.
"""

from __future__ import annotations

import io
import os

from lamina_runtime import contexts
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.errors import MismatchError
from lamina_runtime.store import files
from lamina_runtime.store.errors import MissingError, StoreError
from lamina_runtime.store.partial import Partial, open_partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO, NoReturn

    from lamina_runtime.oci.descriptor import Descriptor
    from lamina_runtime.store.ground import Ground

READ_LIMIT = 4 << 20


class BlobStore:
    """The blobs of a store.

    `open_layer` opens the tar of a layer by its diffID, or returns None; see LayerStore.
    """

    def __init__(self, ground: Ground, open_layer: Callable[[Digest], BinaryIO | None]) -> None:
        self._ground, self._place = ground, ground.place
        self._open_layer = open_layer

    def has(self, digest: Digest) -> bool:
        """Say whether it is there; inside of a lease it then stays."""
        with self._ground.together():
            self._ground.rely(digest)
            return self._place.blob(digest).exists() or self._place.layer(digest).exists()

    def size(self, digest: Digest) -> int:
        """Return the size in bytes; raises MissingError."""
        with self.open(digest) as file:
            return file.seek(0, io.SEEK_END)

    def open(self, digest: Digest) -> BinaryIO:
        """Open for reading, unverified; raises MissingError.  It stays readable even when it is collected."""
        with self._ground.together():
            self._ground.rely(digest)
            with contexts.suppress(FileNotFoundError):
                return self._place.blob(digest).open("rb")
            found = self._open_layer(digest)
        if found is None:
            raise MissingError(f"blob {digest} is not in the store")
        return found

    def read(self, digest: Digest, *, limit: int = READ_LIMIT) -> bytes:
        """Return the content, verified; raises MissingError, MismatchError."""
        with self.open(digest) as file, self._ground.reported():
            data = file.read(limit + 1)
        if len(data) > limit:
            raise StoreError(f"blob {digest}: larger than the {limit} bytes that are expected here")
        actual = Digest.of(data, digest.algorithm)
        if actual != digest:
            raise MismatchError(f"blob in the store {self._place.root}", expected=digest, actual=actual)
        return data

    def add(self, data: bytes, *, expected: Digest | None = None) -> Digest:
        """Store some content; raises MismatchError if it is not what was expected."""
        digest = Digest.of(data, expected.algorithm if expected else "sha256")
        if expected is not None and digest != expected:
            raise MismatchError("blob", expected=expected, actual=digest)
        with self._ground.together():
            self._ground.rely(digest)
            path = self._place.blob(digest)
            if not path.exists():
                self._ground.writable()
                self._ground.bring(digest)
                files.replace(path, data, temporary=self._place.temporary)
        return digest

    @contexts.contextmanager
    def writer(self, descriptor: Descriptor) -> Iterator[BlobWriter]:
        """Receive a blob in pieces; what arrived stays for the next try if it is not committed."""
        with self._ground.adding():
            partial = open_partial(self._place.temporary, descriptor.digest, limit=descriptor.size)
        try:
            yield BlobWriter(self._ground, descriptor, partial)
        finally:
            partial.close()


class BlobWriter:
    """One blob on its way in; belongs to one thread at a time."""

    def __init__(self, ground: Ground, descriptor: Descriptor, partial: Partial) -> None:
        self._ground, self._descriptor, self._partial = ground, descriptor, partial
        self._hasher = descriptor.digest.hasher()
        self.offset = 0
        for piece in partial.pieces():
            self._hasher.update(piece)
            self.offset += len(piece)

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        if self.offset + len(data) > self._descriptor.size:
            self._refuse(f"{self._descriptor.size} bytes", "more")
        self._hasher.update(data)
        with self._ground.reported(), memoryview(data) as view:
            done = 0
            while done < len(view):
                done += os.pwrite(self._partial.fd, view[done:], self.offset + done)
        self.offset += len(data)

    def restart(self) -> None:
        """Throw away what is there."""
        self._partial.clear()
        self._hasher = self._descriptor.digest.hasher()
        self.offset = 0

    def commit(self) -> Digest:
        """Verify size and digest and store it; raises MismatchError."""
        digest = self._descriptor.digest
        if self.offset != self._descriptor.size:
            self._refuse(f"{self._descriptor.size} bytes", f"{self.offset} bytes")
        if self._hasher.hexdigest() != digest.hex:
            self._refuse(digest, Digest(digest.algorithm, self._hasher.hexdigest()))
        with self._ground.reported():
            self._partial.sync()
        with self._ground.together():
            target = self._ground.place.blob(digest)
            (self._ground.rely if target.exists() else self._ground.bring)(digest)
            self._partial.place_at(target)
        return digest

    def _refuse(self, expected: object, actual: object) -> NoReturn:
        self._partial.refused = True
        raise MismatchError(f"blob {self._descriptor.digest.short}", expected=expected, actual=actual)
