"""Which image a word of the command line means.

A word is looked up as docker does: as a name with tag or digest first, then as an image id or
the beginning of one, at last as a short name of registries.conf.  A beginning that fits several
images is refused, never guessed.
"""

from __future__ import annotations

import os

from lamina_runtime.errors import LaminaError, NotFoundError
from lamina_runtime.oci.errors import OciError
from lamina_runtime.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NamedTuple

    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.store import Store
    from lamina_runtime.store.images import Image

HEX = frozenset("0123456789abcdef")
SHA256 = "sha256:"
MOST_SHOWN = 10


if TYPE_CHECKING:

    class Resolved(NamedTuple):
        """An image, and the reference by which it was named; None if it was by id."""

        image: Image
        reference: Reference | None

else:

    class Resolved(tuple):
        """A pair, as above; typing and collections are slow to import."""

        __slots__ = ()
        image = property(lambda self: self[0])
        reference = property(lambda self: self[1])

        def __new__(cls, image, reference):
            """Make one."""
            return tuple.__new__(cls, (image, reference))


def resolve(store: Store, word: str) -> Resolved:
    """Return the image that a word means; raise NotFoundError or, if it is ambiguous, LaminaError."""
    reference = _as_reference(word)
    if reference is not None:
        image_id = by_reference(store, reference)
        if image_id is not None:
            return Resolved(store.images.get(image_id), reference)
    prefix = word.removeprefix(SHA256)
    if prefix and len(prefix) <= 64 and HEX.issuperset(prefix):
        found = store.images.find(prefix)
        if len(found) > 1:
            ids = "\n".join(str(image.id) for image in found[:MOST_SHOWN])
            raise LaminaError(f"image id {word!r} is ambiguous: it begins {len(found)} ids", details=ids)
        if found:
            return Resolved(store.images.get(found[0].id), None)
    for meant in _meanings(word) if reference else ():
        image_id = by_reference(store, meant)
        if image_id is not None:
            return Resolved(store.images.get(image_id), meant)
    raise NotFoundError(f"No such image: {reference.familiar if reference else word}")


def resolve_for(store: Store, word: str, platform: str) -> Resolved:
    """Return the image that a word means, which has to be one for `platform`; "" takes any."""
    return resolve_among(store, word, [platform] if platform else [])


def resolve_among(store: Store, word: str, platforms: Sequence[str]) -> Resolved:
    """Return the image that a word means, which has to be one for one of `platforms`; none take any."""
    found = resolve(store, word)
    if platforms:
        from lamina_runtime.oci.platform import Platform

        wanted, own = [Platform.parse(text) for text in platforms], found.image.config.platform
        if all(each.rank(own) is None for each in wanted):
            raise NotFoundError(
                f"image with reference {word} was found but does not provide the specified platform "
                f"({', '.join(map(str, wanted))})",
                hint=f"it is for {own}",
            )
    return found


def _meanings(word: str) -> Iterator[Reference]:
    """Yield what registries.conf makes of a short name."""
    from lamina_runtime.path import directories, user_id
    from lamina_runtime.registry import configuration

    uid = user_id()
    own = directories(os.environ, uid=uid).config
    known = configuration.load(configuration.files(os.environ, own=own, uid=uid))
    for text in known.candidates(word):
        yield Reference.parse(text)


def by_reference(store: Store, reference: Reference) -> Digest | None:
    """Return the id of the image that a reference names here; by digest, any tag will do."""
    if reference.digest is None:
        named = store.references.get(reference)
        return named.image_id if named else None
    for named in store.references.list():
        digests = {named.manifest.digest} | ({named.index.digest} if named.index else set())
        if named.reference.name == reference.name and reference.digest in digests:
            return named.image_id
    return None


def target(word: str) -> Reference:
    """Read the name to give an image; raise LaminaError for what no image may be called."""
    reference = Reference.parse(word)
    if reference.digest is not None or reference.tag is None:
        raise OciError(f"refusing to create a tag with a digest reference: {word!r}")
    return reference


def _as_reference(word: str) -> Reference | None:
    if word.startswith(SHA256):
        return None
    try:
        return Reference.parse(word)
    except OciError:
        if HEX.issuperset(word.lower()) and word:
            return None
        raise
