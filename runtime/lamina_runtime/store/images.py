"""Images: a record for each, and the EROFS metadata of its stack of layers.

Theory.  The metadata is a function of the layers' indexes, so images of the same layers share it
and it can be made again at any time.  Its making takes time with the number of files, so that of an
image which is only a step (a commit) waits for the first use; it appears by a rename, so of several
who make it at once the last one's equal copy stays.  It is complete in itself: its device table names
the tars that its files point into, in order, by their tags.
"""

from __future__ import annotations

from lamina_runtime.errors import LaminaError
from lamina_runtime.oci import json
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import HEX_LENGTH, Digest, is_hex
from lamina_runtime.oci.errors import MismatchError, OciError
from lamina_runtime.store import files
from lamina_runtime.store.errors import MissingError, StoreError
from lamina_runtime.store.place import Place, stack_name
from lamina_runtime.value import value

MAX_MANIFESTS = 1000  # of one image
_FIELDS = ("id", "size", "created", "platform", "diffIDs", "manifests")
TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

    from lamina_runtime.oci.config import ImageConfig
    from lamina_runtime.oci.manifest import Index, Manifest
    from lamina_runtime.oci.reference import Reference
    from lamina_runtime.store.blobs import BlobStore
    from lamina_runtime.store.forms import LayerInfo
    from lamina_runtime.store.ground import Ground
    from lamina_runtime.store.layers import LayerStore
    from lamina_runtime.store.lease import Lease
    from lamina_runtime.store.references import ReferenceStore


@value
class Record:
    """What the store notes of an image."""

    id: Digest
    size: int  # of the layers' tars
    created: str
    platform: str
    diff_ids: tuple[Digest, ...]
    manifests: tuple[Descriptor, ...]  # under which it came; the last is the current one

    def to_json(self) -> dict[str, Any]:
        """Return the object to serialise."""
        return {
            "id": str(self.id),
            "size": self.size,
            "created": self.created,
            "platform": self.platform,
            "diffIDs": [str(diff_id) for diff_id in self.diff_ids],
            "manifests": [found.to_json() for found in self.manifests],
        }


def record_names(place: Place) -> builtins.list[Digest]:
    """Return the ids of the images there are records of, sorted; other files there are no records."""
    return sorted(
        Digest(algorithm, path.name)
        for algorithm in HEX_LENGTH
        for path in (place.root / "images" / algorithm).iterdir()
        if is_hex(algorithm, path.name)
    )


def read_record(place: Place, image_id: Digest) -> Record | None:
    """Read the record of an image, None if there is none; StoreError names one that is damaged.

    Nothing that is not there counts as empty: collect() would remove what the image needs.
    """
    path = place.image(image_id)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return _parsed(raw, image_id)
    except LaminaError as exc:
        raise StoreError(
            f"{path}: damaged record of an image: {exc}", hint="bring the image again, or remove this file"
        ) from exc


def _parsed(raw: bytes, image_id: Digest) -> Record:
    found = json.load_object(raw, image_id.short)
    for name in _FIELDS:
        if found.fields.get(name) is None:
            raise OciError(f"no {name}")
    if found.need_text("id") != str(image_id):
        raise OciError(f"it is that of {found.text('id')[:200]!r}")
    record = Record(
        image_id,
        found.integer("size"),
        found.text("created"),
        found.text("platform"),
        tuple(Digest.parse(text) for text in found.texts("diffIDs")),
        tuple(Descriptor.from_json(entry) for entry in found.objects("manifests", limit=MAX_MANIFESTS)),
    )
    if not record.manifests:
        raise OciError("no manifests")
    return record


def _known(place: Place, image_id: Digest) -> Record | None:
    """Return the record that a new one would replace; a damaged one is as good as none."""
    try:
        return read_record(place, image_id)
    except LaminaError:
        return None


class Image:
    """One image.  What a listing shows is noted; manifest and configuration are read when asked for."""

    def __init__(self, record: Record, ground: Ground, blobs: Callable[[], BlobStore]) -> None:
        self.id, self.size, self.created = record.id, record.size, record.created
        self.platform, self.diff_ids, self.manifests = record.platform, record.diff_ids, record.manifests
        self._ground, self._blobs = ground, blobs

    @property
    def manifest(self) -> Manifest:
        """The manifest under which it came last."""
        from lamina_runtime.oci.manifest import Manifest, parse

        found = self.manifests[-1]
        parsed = parse(self._blobs().read(found.digest), found.media_type, algorithm=found.digest.algorithm)
        assert isinstance(parsed, Manifest)
        return parsed

    @property
    def config(self) -> ImageConfig:
        """The configuration, whose digest is the id."""
        from lamina_runtime.oci.config import ImageConfig

        return ImageConfig.parse(self._blobs().read(self.id), algorithm=self.id.algorithm)

    @property
    def metadata(self) -> Path:
        """The EROFS image; it is made where it is not there yet."""
        path = self._ground.place.metadata(self.diff_ids)
        if not path.exists():
            from lamina_runtime.store import forms, metadata

            infos = [forms.read_info(self._ground.place, diff_id) for diff_id in self.diff_ids]
            metadata.ensure(self._ground, infos)
        return path

    @property
    def folder(self) -> Path:
        """Where the tars are that the metadata's device table names."""
        return self._ground.place.devices

    @property
    def devices(self) -> tuple[Path, ...]:
        """The tars that the metadata points into, in the order of its device table."""
        from lamina_runtime.store import devices

        path = self.metadata
        with self._ground.together():
            return tuple(self.folder / tag for tag in devices.tags(path))


class ImageStore:
    """The images of a store."""

    def __init__(
        self,
        ground: Ground,
        references: ReferenceStore,
        blobs: Callable[[], BlobStore],
        layers: Callable[[], LayerStore],
    ) -> None:
        self._ground, self._place = ground, ground.place
        self._references, self._blobs, self._layers = references, blobs, layers

    def add(
        self,
        manifest: Manifest,
        config: ImageConfig,
        lease: Lease,
        *,
        names: Sequence[Reference] = (),
        index: Manifest | Index | None = None,
        later: bool = False,
    ) -> Image:
        """Store an image whose layers are all here; raises MissingError if one is not.

        It stays until it is removed; `lease` keeps its parts until then.  It appears together with
        its names, so that nobody takes it for one that has none; `index` is what they come from.
        `later` leaves the making of its metadata to the first use: for layers that are known to fit.
        """
        if manifest.config.digest != config.id:
            raise MismatchError("image configuration", expected=manifest.config.digest, actual=config.id)
        if len(manifest.layers) != len(config.diff_ids):
            raise OciError(
                f"image {config.id.short}: its manifest has {len(manifest.layers)} layers, "
                f"its configuration {len(config.diff_ids)}"
            )
        stack = Digest("sha256", stack_name(config.diff_ids))
        with self._ground.together():
            for digest in (config.id, manifest.digest, *config.diff_ids, stack):
                lease.hold(digest)
        known = self._layers().info
        infos = [known(diff_id) for diff_id in config.diff_ids] if later else self.prepare(config.diff_ids)
        self._blobs().add(manifest.raw, expected=manifest.digest)
        self._blobs().add(config.raw, expected=config.id)
        if index is not None:
            self._blobs().add(index.raw, expected=index.digest)
        with self._ground.changing():
            before = _known(self._place, config.id)
            others = [found for found in before.manifests if found != manifest.descriptor] if before else []
            record = Record(
                config.id,
                sum(info.size for info in infos),
                config.created,
                str(config.platform),
                config.diff_ids,
                (*others, manifest.descriptor),
            )
            if record != before:
                target = self._place.image(config.id)
                files.replace(target, json.dump(record.to_json()), temporary=self._place.temporary)
            for name in names:
                self._references.set(
                    name, config.id, manifest.descriptor, index.descriptor if index else None
                )
        return Image(record, self._ground, self._blobs)

    def prepare(self, diff_ids: Sequence[Digest]) -> builtins.list[LayerInfo]:
        """Make the metadata of a stack of layers, unless it is there; returns what is known of them.

        Raises MissingError, and LayerError for layers that do not make an image.
        """
        from lamina_runtime.store import metadata

        with self._ground.together():
            self._ground.rely(Digest("sha256", stack_name(diff_ids)))
        infos = [self._layers().info(diff_id) for diff_id in diff_ids]
        metadata.ensure(self._ground, infos)
        return infos

    def get(self, image_id: Digest) -> Image:
        """Return an image; raises MissingError.  Inside of a lease it then stays."""
        with self._ground.together():
            self._ground.rely(image_id)
            record = read_record(self._place, image_id)
            if record is None:
                raise MissingError(f"image {image_id} is not in the store")
            stack = Digest("sha256", stack_name(record.diff_ids))
            for digest in (*record.diff_ids, stack, *(found.digest for found in record.manifests)):
                self._ground.rely(digest)
        return Image(record, self._ground, self._blobs)

    def find(self, prefix: str) -> builtins.list[Image]:
        """Return the images whose ids begin so; `sha256:` may come first."""
        algorithm, colon, digits = prefix.rpartition(":")
        if not digits or digits.strip("0123456789abcdef"):
            return []
        names = [algorithm] if colon else list(HEX_LENGTH)
        return [
            image for image in self.list() if image.id.algorithm in names and image.id.hex.startswith(digits)
        ]

    def list(self) -> builtins.list[Image]:
        """Return all images, by their ids; those whose records are damaged are left out, with a warning."""
        with self._ground.together():
            records = [self._readable(name) for name in record_names(self._place)]
        return [Image(record, self._ground, self._blobs) for record in records if record is not None]

    def _readable(self, image_id: Digest) -> Record | None:
        try:
            return read_record(self._place, image_id)
        except (LaminaError, OSError) as exc:
            self._ground.skip(exc)
            return None

    def remove(self, image_id: Digest) -> None:
        """Forget an image and its names; what it is made of goes with the next collect().

        Raises MissingError.
        """
        with self._ground.changing():
            for path in (self._place.root / "references").iterdir():
                named = self._references.readable(path)
                if named is not None and named.image_id == image_id:
                    files.remove(path)
            if not files.remove(self._place.image(image_id)):
                raise MissingError(f"image {image_id} is not in the store")
