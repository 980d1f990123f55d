"""Layers: each as its uncompressed tar, with an index of it, by diffID.

Theory.  A layer is there when its directory below `layers/` is; that is renamed into place after
the tar has its name below `devices/`, and both after they reached the disk.  The forms of a layer
are the blobs it is known as; a blob may be kept, or only be known to be that layer.
"""

from __future__ import annotations

from lamina_runtime import contexts
from lamina_runtime.oci import media
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.errors import MismatchError
from lamina_runtime.store import assembled, files, forms
from lamina_runtime.store.partial import open_partial
from lamina_runtime.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.store.forms import Form, LayerInfo
    from lamina_runtime.store.ground import Ground
    from lamina_runtime.store.layer_writer import LayerWriter


class LayerStore:
    """The layers of a store."""

    def __init__(self, ground: Ground) -> None:
        self._ground, self._place = ground, ground.place

    def has(self, diff_id: Digest) -> bool:
        """Say whether it is there; inside of a lease it then stays."""
        with self._ground.together():
            self._ground.rely(diff_id)
            return self._place.layer(diff_id).exists()

    def info(self, diff_id: Digest) -> LayerInfo:
        """Return what is known of a layer; raises MissingError."""
        with self._ground.together():
            self._ground.rely(diff_id)
            return forms.read_info(self._place, diff_id)

    def is_known_as(self, diff_id: Digest, blob: Descriptor) -> bool:
        """Say whether a layer is here and has been that blob; raises MismatchError if that has another size.

        A digest that is in none of its forms says nothing: whoever names it has yet to show the bytes.
        """
        if not self.has(diff_id):
            return False
        size = self.info(diff_id).size_as(blob.digest)
        if size is not None and size != blob.size:
            what = f"layer {blob.digest.short}"
            raise MismatchError(what, expected=f"{blob.size} bytes", actual=f"{size} bytes")
        return size is not None

    def list(self) -> builtins.list[Digest]:
        """Return all layers."""
        with self._ground.together():
            return forms.every_layer(self._place)

    def tar(self, diff_id: Digest) -> Path:
        """Return the path of the tar; after a dedup parts of it may be holes: open() has all bytes."""
        self._need(diff_id)
        return self._place.device(diff_id)

    def index(self, diff_id: Digest) -> Path:
        """Return the path of the index."""
        self._need(diff_id)
        return self._place.layer(diff_id) / "index"

    def _need(self, diff_id: Digest) -> None:
        if not self.has(diff_id):
            raise forms.missing(diff_id)

    def open(self, diff_id: Digest) -> BinaryIO:
        """Open the tar for reading, unverified; raises MissingError."""
        self._need(diff_id)
        found = self.open_known(diff_id)
        if found is None:
            raise forms.missing(diff_id)
        return found

    def open_known(self, diff_id: Digest) -> BinaryIO | None:
        """Open the tar of a layer that the caller relies on already, None if there is none."""
        if not self._place.layer(diff_id).exists():
            return None
        with contexts.suppress(FileNotFoundError):
            return assembled.open_tar(self._place.devices, self._place.layer(diff_id))
        return None

    @contexts.contextmanager
    def writer(
        self, descriptor: Descriptor | None, *, diff_id: Digest | None, keep_blob: bool = True
    ) -> Iterator[LayerWriter]:
        """Receive a layer in any compression; what arrived stays for the next try if it is not committed.

        Without a descriptor the blob is whatever comes.  Without `diff_id` the tar is not compared
        with anything.  A tree of threads works while this is open: leave it as soon as all is written.
        """
        from lamina_runtime.store.layer_writer import LayerWriter  # listings do without the extension

        with contexts.ExitStack() as stack:
            with self._ground.adding():
                expected = descriptor.digest if descriptor else None
                partial = open_partial(
                    self._place.temporary, expected, limit=descriptor.size if descriptor else 0
                )
                stack.callback(partial.close)
                shop = stack.enter_context(files.workshop(self._place.temporary))
            writer = LayerWriter(self._ground, descriptor, diff_id, partial, shop, keep_blob=keep_blob)
            stack.callback(writer.close)
            yield writer

    def blob(self, diff_id: Digest, media_type: str) -> Descriptor:
        """Return the layer as a blob of a media type: one that is kept, or else one made now.

        The same layer always gives the same blob as long as compressors stay the same.
        """
        compression = media.compression(media_type)
        info = self.info(diff_id)
        if compression == "none":
            return Descriptor(media_type, diff_id, info.size)
        for form in sorted(info.blobs, key=lambda form: (form.recipe, form.descriptor.digest)):
            if media.compression(form.descriptor.media_type) == compression and self._kept(form):
                return replace(form.descriptor, media_type=media_type)
        with self.open(diff_id) as file:
            return forms.make(self._ground, info, file, media_type)

    def _kept(self, form: Form) -> bool:
        with self._ground.together():
            self._ground.rely(form.descriptor.digest)
            return self._place.blob(form.descriptor.digest).exists()
