"""The history of an image, each step with the layer that it made."""

from __future__ import annotations

from lamina_runtime.engine import moments
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.oci.container import History
    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.store import Store
    from lamina_runtime.store.images import Image


@value
class Step:
    """One step; without a layer it changed the configuration only."""

    entry: History
    created: float | None
    diff_id: Digest | None
    size: int


def of(store: Store, image: Image) -> list[Step]:
    """Return the steps of an image, the first first.

    Layers beyond what the history tells of get a step without words, so that none is left out.
    """
    from lamina_runtime.oci.container import History

    layers = list(image.diff_ids)
    found = []
    for entry in image.config.history:
        diff_id = layers.pop(0) if layers and not entry.empty_layer else None
        found.append(_step(store, entry, diff_id))
    return found + [_step(store, History(), diff_id) for diff_id in layers]


def _step(store: Store, entry: History, diff_id: Digest | None) -> Step:
    size = store.layers.info(diff_id).size if diff_id else 0
    return Step(entry, moments.from_rfc3339(entry.created), diff_id, size)
