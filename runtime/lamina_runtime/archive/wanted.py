"""What an archive says that it holds, before anything of it is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lamina_runtime.archive.errors import ArchiveError
from lamina_runtime.oci import json
from lamina_runtime.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lamina_runtime.oci.config import ImageConfig
    from lamina_runtime.oci.descriptor import Descriptor
    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.oci.manifest import Index, Manifest

MOST_IMAGES = 4096


class Documents(Protocol):
    """Where the small files of an archive are had from."""

    def has(self, name: str) -> bool:
        """Tell whether there is a file of this name."""

    def document(self, name: str) -> bytes:
        """Return a small file; raise ArchiveError if it is missing or too large."""


@dataclass(frozen=True, slots=True)
class Part:
    """A layer in an archive: the member that holds it, and what is known of it beforehand."""

    name: str
    diff_id: Digest | None  # not known before it was read, in the oldest archives
    descriptor: Descriptor | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image in an archive; without a manifest of its own one is made."""

    config: ImageConfig
    parts: tuple[Part, ...]
    manifest: Manifest | None = None
    index: Index | None = None
    names: tuple[Reference, ...] = ()


def matched(config: ImageConfig, names: tuple[str, ...], what: str) -> Iterator[tuple[str, Digest]]:
    """Pair layers with diffIDs; raise ArchiveError if there are more of the one than of the other."""
    if len(names) != len(config.diff_ids):
        raise ArchiveError(f"{what}: {len(names)} layers, but the configuration has {len(config.diff_ids)}")
    return zip(names, config.diff_ids, strict=True)


def tagged(text: str, what: str) -> Reference:
    """Read a name that an archive gives an image."""
    reference = Reference.parse(text)
    if reference.tag is None:
        raise ArchiveError(f"{what}: the name {text!r} has no tag")
    return Reference(reference.registry, reference.repository, reference.tag)


def array(raw: bytes, what: str) -> list[json.Object]:
    """Read a document that is a list of objects."""
    value: Any = json.load(raw, what)
    if not isinstance(value, list):
        raise ArchiveError(f"{what}: a list is wanted")
    if len(value) > MOST_IMAGES:
        raise ArchiveError(f"{what}: {len(value)} images, more than the limit of {MOST_IMAGES}")
    return [json.Object(entry, f"{what}[{number}]") for number, entry in enumerate(value)]


def text_maps(raw: bytes, what: str) -> Mapping[str, Mapping[str, str]]:
    """Read a document that is an object of objects of strings."""
    found = json.load_object(raw, what)
    return {name: found.text_map(name) for name in found.fields}
