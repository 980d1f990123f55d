"""One layer on its way into the store.

Theory.  The bytes go through an Intake (layer.intake), which finds out everything in one pass.  An
uncompressed blob is the tar: its partial file becomes the device.  Order of the end: tar, index,
sums and record reach the disk; the blob gets its name, then the tar, then the layer's directory,
which is what makes the layer exist.
"""

from __future__ import annotations

import os

from lamina_runtime.errors import LaminaError
from lamina_runtime.layer.intake import Intake, Taken
from lamina_runtime.layer.scan import LayerScanner
from lamina_runtime.oci import media
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.errors import MismatchError
from lamina_runtime.store import files, forms
from lamina_runtime.store.errors import StoreError
from lamina_runtime.store.forms import Form, LayerInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import NoReturn, TypeVar

    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.store.ground import Ground
    from lamina_runtime.store.partial import Partial

    T = TypeVar("T")

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class LayerWriter:
    """Takes a blob as it is received; belongs to one thread at a time."""

    def __init__(
        self,
        ground: Ground,
        descriptor: Descriptor | None,
        diff_id: Digest | None,
        partial: Partial,
        shop: Path,
        *,
        keep_blob: bool,
    ) -> None:
        self._ground, self._descriptor, self._diff_id = ground, descriptor, diff_id
        self._partial, self._shop, self._keep_blob = partial, shop, keep_blob
        self._algorithms = (
            descriptor.digest.algorithm if descriptor else "sha256",
            diff_id.algorithm if diff_id else "sha256",
        )
        self._intake: Intake | None = None
        self._tar_fd = -1
        self.offset = partial.size

    @property
    def source(self) -> str:
        """What errors call it."""
        named = self._descriptor.digest if self._descriptor else self._diff_id
        return f"layer {named.short}" if named else "layer"

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the blob; raises what is wrong with the ones before."""
        self.offset += len(data)
        if self._descriptor is not None and self.offset > self._descriptor.size:
            self._refuse(f"{self._descriptor.size} bytes", "more")
        self._guarded(lambda: self._started().write(data))

    def restart(self) -> None:
        """Throw away what is there."""
        self._end()
        self._partial.clear()
        self.offset = 0

    def commit(self) -> LayerInfo:
        """Wait until all is done, verify sizes and digests, and put the layer into the store."""
        if self._descriptor is not None and self.offset != self._descriptor.size:
            self._refuse(f"{self._descriptor.size} bytes", f"{self.offset} bytes")
        taken = self._guarded(lambda: self._started().finish())
        self._intake = None
        if self._descriptor is not None and taken.blob != self._descriptor.digest:
            self._refuse(self._descriptor.digest, taken.blob)
        if self._diff_id is not None and taken.diff_id != self._diff_id:
            self._refuse(f"{self._diff_id}, its diffID", taken.diff_id)
        with self._ground.reported():
            info = self._describe(taken)
            layer = forms.write_layer(self._shop, info, taken.index, taken.sums)
            os.fsync(self._tar_fd)
            if self._keeps(taken):
                self._partial.sync()
            files.sync_tree(layer)
        return self._publish(taken, info, layer)

    def _started(self) -> Intake:
        """Return the intake; the first time it is given what was received before."""
        if self._intake is None:
            opened = Intake(
                self.source,
                self._open_files,
                LayerScanner(self.source),
                algorithms=self._algorithms,
                limits=self._ground.limits,
            )
            self._intake = opened
            for piece in self._partial.pieces():
                opened.write(piece, stored=True)
        return self._intake

    def _open_files(self, compression: str) -> tuple[int | None, int]:
        if compression == "none" and self._algorithms[0] == self._algorithms[1]:
            self._tar_fd = self._partial.fd
            return self._partial.fd, self._partial.fd
        self._tar_fd = os.open(self._shop / "tar", _FLAGS, files.MODE)
        return (self._partial.fd if self._descriptor or self._keep_blob else None), self._tar_fd

    def _keeps(self, taken: Taken) -> bool:
        """Say whether the blob is to be kept as a file of its own."""
        return self._keep_blob and taken.blob != taken.diff_id

    def _describe(self, taken: Taken) -> LayerInfo:
        blobs: tuple[Form, ...] = ()
        if taken.blob != taken.diff_id:
            said = self._descriptor.media_type if self._descriptor else media.OCI_LAYER
            kind = media.layer_type(taken.compression, docker=media.is_docker(said))
            blobs = (Form(Descriptor(kind, taken.blob, taken.blob_size), taken.blob_sum),)
        return LayerInfo(taken.diff_id, taken.tar_size, taken.entries, taken.file_size, blobs)

    def _publish(self, taken: Taken, info: LayerInfo, layer: Path) -> LayerInfo:
        place = self._ground.place
        with self._ground.together():
            self._ground.rely(taken.diff_id)
            self._ground.rely(taken.blob)
            if self._keeps(taken):
                if not place.blob(taken.blob).exists():
                    self._ground.bring(taken.blob)
                self._partial.place_at(place.blob(taken.blob))
            if not place.layer(taken.diff_id).exists():
                self._ground.bring(taken.diff_id)
                if self._tar_fd == self._partial.fd:
                    self._partial.place_at(place.device(taken.diff_id))
                else:
                    files.publish(self._shop / "tar", place.device(taken.diff_id))
                self._place_layer(layer, place.layer(taken.diff_id))
            for form in info.blobs:
                forms.add_form(place, taken.diff_id, form)
            self._partial.refused = True  # what is left of it serves nobody
            return forms.read_info(place, taken.diff_id)

    @staticmethod
    def _place_layer(layer: Path, target: Path) -> None:
        try:
            files.publish(layer, target)
        except OSError:
            if not target.exists():  # otherwise someone else brought the same layer meanwhile
                raise

    def _guarded(self, call: Callable[[], T]) -> T:
        """Do something with the stream; if the stream is to blame, it is not tried again."""
        try:
            with self._ground.reported():
                return call()
        except StoreError:
            raise
        except LaminaError:
            self._partial.refused = True
            raise

    def _refuse(self, expected: object, actual: object) -> NoReturn:
        self._partial.refused = True
        raise MismatchError(self.source, expected=expected, actual=actual)

    def _end(self) -> None:
        if self._intake is not None:
            self._intake.abandon()
            self._intake = None
        if self._tar_fd not in (-1, self._partial.fd):
            os.close(self._tar_fd)
            files.remove(self._shop / "tar")
        self._tar_fd = -1

    def close(self) -> None:
        """End the threads; what has arrived stays for the next try."""
        self._end()
