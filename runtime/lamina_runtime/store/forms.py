"""What is known of a layer besides its tar: its record, and the blobs that are its forms."""

from __future__ import annotations

from lamina_runtime.oci import json, media
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.digest import hasher as new_hasher
from lamina_runtime.store import files
from lamina_runtime.store.errors import MissingError
from lamina_runtime.store.partial import open_partial
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, BinaryIO

    from lamina_runtime.store.ground import Ground
    from lamina_runtime.store.place import Place

RECORD, INDEX, SUMS, FORMS = "layer.json", "index", "sums", "forms"


@value
class Form:
    """A blob that a layer is known as; `recipe` says how we made it, empty if it came so."""

    descriptor: Descriptor
    sum: str  # XXH3-128 of the blob
    recipe: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the object to serialise."""
        return {"descriptor": self.descriptor.to_json(), "sum": self.sum, "recipe": self.recipe}

    @property
    def file_name(self) -> str:
        """What its record is called."""
        return f"{self.descriptor.digest.algorithm}-{self.descriptor.digest.hex}"


@value
class LayerInfo:
    """What is known of a layer; `size` is that of its tar, `file_size` the sum of its files'."""

    diff_id: Digest
    size: int
    entries: int
    file_size: int
    blobs: tuple[Form, ...] = ()

    def size_as(self, blob: Digest) -> int | None:
        """Return the size of the layer as the tar or blob of this digest, None if it is not known as that."""
        if blob == self.diff_id:
            return self.size
        return next((form.descriptor.size for form in self.blobs if form.descriptor.digest == blob), None)

    def to_json(self) -> dict[str, Any]:
        """Return the object to serialise."""
        found = {"diffID": str(self.diff_id), "size": self.size, "entries": self.entries}
        return {**found, "fileSize": self.file_size}


def missing(diff_id: Digest) -> MissingError:
    """Return the error for a layer that is not there."""
    return MissingError(f"layer {diff_id} is not in the store")


def read_info(place: Place, diff_id: Digest) -> LayerInfo:
    """Return what is known of a layer; raises MissingError."""
    return read_path(place.layer(diff_id)) or _raise(missing(diff_id))


def _raise(exc: Exception) -> LayerInfo:
    raise exc


def every_layer(place: Place) -> list[Digest]:
    """Return the layers that are there, sorted."""
    found = (read_path(path) for path in (place.root / "layers").iterdir())
    return sorted(info.diff_id for info in found if info is not None)


def read_path(layer: Path) -> LayerInfo | None:
    """Return what is known of the layer of which this is the directory, None if it is not there."""
    try:
        record = json.load_object((layer / RECORD).read_bytes(), f"layer {layer.name}")
        blobs = tuple(_read_form(path) for path in sorted((layer / FORMS).iterdir()))
    except FileNotFoundError:
        return None
    return LayerInfo(
        Digest.parse(record.need_text("diffID")),
        record.integer("size"),
        record.integer("entries"),
        record.integer("fileSize"),
        blobs,
    )


def _read_form(path: Path) -> Form:
    found = json.load_object(path.read_bytes(), "form of a layer")
    return Form(
        Descriptor.from_json(found.inner("descriptor") or {}), found.text("sum"), found.text("recipe")
    )


def write_layer(shop: Path, info: LayerInfo, index: bytes, sums: bytes) -> Path:
    """Write the directory of a layer where nobody looks yet; returns it, still to be synced."""
    layer = shop / "layer"
    (layer / FORMS).mkdir(parents=True, mode=0o700)
    files.write_new(layer / INDEX, index, synced=False)
    files.write_new(layer / SUMS, sums, synced=False)
    for form in info.blobs:
        files.write_new(layer / FORMS / form.file_name, json.dump(form.to_json()), synced=False)
    files.write_new(layer / RECORD, json.dump(info.to_json()), synced=False)
    return layer


def add_form(place: Place, diff_id: Digest, form: Form) -> None:
    """Note that a layer is known as a blob; what is known already stays as it is."""
    path = place.layer(diff_id) / FORMS / form.file_name
    if not path.exists():
        files.replace(path, json.dump(form.to_json()), temporary=place.temporary)


def make(ground: Ground, info: LayerInfo, tar: BinaryIO, media_type: str) -> Descriptor:
    """Compress a layer and keep the blob."""
    import xxhash

    from lamina_runtime.layer.compress import compress, recipe

    place, compression = ground.place, media.compression(media_type)
    hasher, total, size = new_hasher("sha256"), xxhash.xxh3_128(), 0
    with ground.adding():
        partial = open_partial(place.temporary, None, limit=0)
    try:
        with ground.reported(), open(partial.fd, "wb", closefd=False) as out:
            for piece in compress(tar, info.size, compression):
                hasher.update(piece)
                total.update(piece)
                size += out.write(piece)
        with ground.reported():
            partial.sync()
        made = Descriptor(media_type, Digest("sha256", hasher.hexdigest()), size)
        with ground.together():
            ground.rely(made.digest)
            partial.place_at(place.blob(made.digest))
            add_form(place, info.diff_id, Form(made, total.hexdigest(), recipe(compression)))
    finally:
        partial.close()
    return made
