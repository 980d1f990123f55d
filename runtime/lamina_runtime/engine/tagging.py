"""`lamina tag`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamina_runtime.engine import naming

if TYPE_CHECKING:
    from lamina_runtime.store import Store


def tag(store: Store, source: str, target: str) -> None:
    """Give an image one more name; a name that it takes from another image it takes silently."""
    name = naming.target(target)
    with store.lease(f"tag {target}"), store.changing():
        image, reference = naming.resolve(store, source)
        known = store.references.get(reference) if reference else None
        if known is not None and known.image_id == image.id:
            store.references.set(name, image.id, known.manifest, known.index)
        else:
            store.references.set(name, image.id, image.manifests[-1], None)
