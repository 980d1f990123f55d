"""What images there are, as `lamina images` shows them."""

from __future__ import annotations

from lamina_runtime.engine import moments
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.oci.reference import Reference
    from lamina_runtime.store import Store
    from lamina_runtime.store.images import Image
    from lamina_runtime.store.references import Named


@value
class Listed:
    """An image with its names, sorted, and when it was made."""

    image: Image
    names: tuple[Named, ...]
    created: float | None


@value
class Row:
    """One line of the listing: an image under one name, or under none."""

    image: Image
    reference: Reference | None
    digest: Digest | None
    created: float | None


def images(store: Store) -> list[Listed]:
    """Return all images, the newest first."""
    names: dict[Digest, list[Named]] = {}
    for named in store.references.list():
        names.setdefault(named.image_id, []).append(named)
    found = [
        Listed(
            image,
            tuple(sorted(names.get(image.id, ()), key=lambda named: named.reference.familiar)),
            moments.from_rfc3339(image.created),
        )
        for image in store.images.list()
    ]
    return sorted(found, key=lambda listed: (-(listed.created or 0.0), str(listed.image.id)))


def chosen(store: Store, words: Sequence[str], keys: Sequence[str] = ()) -> list[Listed]:
    """Return the images that pass the filters; `keys` are those allowed, by default a listing's."""
    if not words:
        return images(store)
    from lamina_runtime.engine import filters

    wanted = filters.parse(words, keys or filters.LIST_KEYS)
    found = images(store)
    if not wanted:
        return found
    tests = filters.tests(store, wanted)
    return [listed for listed in found if all(test(listed) for test in tests)]


def rows(store: Store, *, pattern: str, words: Sequence[str]) -> list[Row]:
    """Return the lines of `images [PATTERN]`: a line for each name that fits."""
    match = None
    referenced: list[Callable[[Reference], bool]] = []
    if pattern or words:
        from lamina_runtime.engine import filters

        match = filters.matcher(pattern) if pattern else None
        wanted = filters.parse(words, filters.LIST_KEYS)
        referenced = [filters.matcher(value) for value in wanted.get("reference", ())]
    found = []
    for listed in chosen(store, words):
        for named in listed.names:
            if (match is None or match(named.reference)) and (
                not referenced or any(one(named.reference) for one in referenced)
            ):
                digest = (named.index or named.manifest).digest
                found.append(Row(listed.image, named.reference, digest, listed.created))
        if not listed.names and match is None and not referenced:
            found.append(Row(listed.image, None, None, listed.created))
    return found
