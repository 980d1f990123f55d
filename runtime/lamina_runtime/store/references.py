"""Names of images.

A name that has a digest is kept without its tag: the digest is what it says, as docker has it.
"""

from __future__ import annotations

from lamina_runtime.errors import LaminaError
from lamina_runtime.oci import json
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.reference import Reference
from lamina_runtime.store import files
from lamina_runtime.store.errors import MissingError, StoreError
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from pathlib import Path
    from typing import Any

    from lamina_runtime.store.ground import Ground


@value
class Named:
    """What a name stands for: the image, by which manifest it came, out of which index."""

    reference: Reference
    image_id: Digest
    manifest: Descriptor
    index: Descriptor | None

    def to_json(self) -> dict[str, Any]:
        """Return the object to serialise."""
        found: dict[str, Any] = {"name": str(self.reference), "image": str(self.image_id)}
        found["manifest"] = self.manifest.to_json()
        if self.index is not None:
            found["index"] = self.index.to_json()
        return found


class ReferenceStore:
    """The names of a store."""

    def __init__(self, ground: Ground) -> None:
        self._ground, self._place = ground, ground.place

    def get(self, reference: Reference) -> Named | None:
        """Return what a name stands for, None if it stands for nothing."""
        with self._ground.together():
            named = read_reference(self._place.reference(_plain(reference)))
            if named is not None:
                for digest in _parts(named):
                    self._ground.rely(digest)
            return named

    def set(
        self, reference: Reference, image_id: Digest, manifest: Descriptor, index: Descriptor | None = None
    ) -> None:
        """Let a name stand for an image that is in the store, as its manifest is; raises MissingError."""
        named = Named(_plain(reference), image_id, manifest, index)
        with self._ground.changing():
            for digest in _parts(named):
                self._ground.rely(digest)
            if not self._place.image(image_id).exists():
                raise MissingError(f"image {image_id} is not in the store")
            for found in filter(None, (manifest, index)):
                if not self._place.blob(found.digest).exists():
                    raise MissingError(f"manifest {found.digest} is not in the store")
            path = self._place.reference(named.reference)
            if not _says(path, named):
                files.replace(path, json.dump(named.to_json()), temporary=self._place.temporary)

    def remove(self, reference: Reference) -> bool:
        """Forget a name; say whether it was there."""
        with self._ground.changing():
            return files.remove(self._place.reference(_plain(reference)))

    def list(self, *, strict: bool = False) -> builtins.list[Named]:
        """Return all names, sorted; damaged ones are left out with a warning, or StoreError if `strict`."""
        read = read_reference if strict else self.readable
        with self._ground.together():
            found = [read(path) for path in sorted((self._place.root / "references").iterdir())]
        return sorted((named for named in found if named), key=lambda named: str(named.reference))

    def readable(self, path: Path) -> Named | None:
        """Read the record of a name; None if it was removed, and with a warning if it is damaged."""
        try:
            return read_reference(path)
        except (LaminaError, OSError) as exc:
            self._ground.skip(exc)
            return None

    def names(self, image_id: Digest) -> builtins.list[Reference]:
        """Return the names of an image, sorted."""
        return [named.reference for named in self.list() if named.image_id == image_id]


def _plain(reference: Reference) -> Reference:
    return reference.with_digest(reference.digest) if reference.digest and reference.tag else reference


def _parts(named: Named) -> tuple[Digest, ...]:
    """Return what has to stay for a name to be good."""
    indexes = (named.index.digest,) if named.index else ()
    return (named.image_id, named.manifest.digest, *indexes)


def _says(path: Path, named: Named) -> bool:
    try:
        return read_reference(path) == named
    except LaminaError:  # damaged: to be written anew
        return False


def read_reference(path: Path) -> Named | None:
    """Read the record of a name, None if it was removed; StoreError names one that is damaged."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return _parsed(raw)
    except LaminaError as exc:
        raise StoreError(f"{path}: damaged record of a name: {exc}", hint="remove this file") from exc


def _parsed(raw: bytes) -> Named:
    found = json.load_object(raw, "name")
    index = found.inner("index")
    return Named(
        Reference.parse(found.need_text("name")),
        Digest.parse(found.need_text("image")),
        Descriptor.from_json(found.inner("manifest") or {}),
        Descriptor.from_json(index) if index else None,
    )
