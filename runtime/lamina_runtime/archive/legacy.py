"""Archives of docker before 1.10: no manifest.json, a directory for each layer.

`repositories` maps names and tags to the id of the top layer; `<id>/json` describes a layer, the
configuration as it was then, and names its parent.  From this a configuration of today is made
the way docker does: the top's description without its ties, the list of layers, and a history
of what each layer's description says.  The diffIDs are known only when the layers have been read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lamina_runtime.archive.errors import ArchiveError
from lamina_runtime.archive.tarstream import clean
from lamina_runtime.archive.wanted import Documents, tagged, text_maps
from lamina_runtime.oci import json
from lamina_runtime.oci.config import ImageConfig
from lamina_runtime.oci.manifest import MAX_LAYERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from lamina_runtime.oci.digest import Digest
    from lamina_runtime.oci.reference import Reference

REPOSITORIES = "repositories"
TIES = ("id", "parent", "Size", "parent_id", "layer_id", "throwaway")
LONGEST_ID = 128


@dataclass(frozen=True, slots=True)
class Chain:
    """A top layer and all below it, base first."""

    names: tuple[Reference, ...]
    layers: tuple[str, ...]
    descriptions: tuple[json.Object, ...]

    def config(self, diff_ids: list[Digest]) -> ImageConfig:
        """Return the configuration, now that the layers' digests are known."""
        top = {key: value for key, value in self.descriptions[-1].fields.items() if key not in TIES}
        top["rootfs"] = {"type": "layers", "diff_ids": [str(diff_id) for diff_id in diff_ids]}
        top["history"] = [_history(found) for found in self.descriptions]
        return ImageConfig.parse(json.dump(top))


def chains(archive: Documents) -> list[Chain]:
    """Return what `repositories` names."""
    tops: dict[str, list[Reference]] = {}
    for repository, tags in text_maps(archive.document(REPOSITORIES), REPOSITORIES).items():
        for tag, top in tags.items():
            tops.setdefault(top, []).append(tagged(f"{repository}:{tag}", REPOSITORIES))
    if not tops:
        raise ArchiveError(f"{REPOSITORIES} names no image")
    return [_chain(top, tuple(names), archive.document) for top, names in tops.items()]


def _chain(top: str, names: tuple[Reference, ...], document: Callable[[str], bytes]) -> Chain:
    layers: list[str] = []
    descriptions: list[json.Object] = []
    seen: set[str] = set()
    layer = top
    while layer:
        if len(layer) > LONGEST_ID or "/" in layer:
            raise ArchiveError(f"{layer[:200]!r} is not the id of a layer")
        if layer in seen:
            raise ArchiveError(f"layer {layer} is below itself")
        if len(seen) >= MAX_LAYERS:
            raise ArchiveError(f"image {top} has more than {MAX_LAYERS} layers")
        seen.add(layer)
        found = json.load_object(document(clean(f"{layer}/json")), f"{layer}/json")
        layers.append(f"{layer}/layer.tar")
        descriptions.append(found)
        layer = found.text("parent")
    return Chain(names, tuple(reversed(layers)), tuple(reversed(descriptions)))


def _history(found: json.Object) -> dict[str, Any]:
    container = found.inner("container_config")
    entry = {
        "created": found.text("created"),
        "created_by": " ".join(container.texts("Cmd")) if container else "",
        "author": found.text("author"),
        "comment": found.text("comment"),
    }
    return {key: value for key, value in entry.items() if value}
