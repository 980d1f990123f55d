"""docker-archive: what `docker save` wrote from 1.10 on, and podman, skopeo, kaniko and bazel write.

`manifest.json` lists the images: the member that is the configuration, the members that are the
layers, base first, and the tags.  Member names mean nothing by themselves: docker called layers
`<id>/layer.tar`, with symbolic links where two are equal; podman calls them `<diffID>.tar`; others
compress them.  So layers are verified against the configuration's diffIDs, whatever their names.
"""

from __future__ import annotations

from lamina_runtime.archive.errors import ArchiveError
from lamina_runtime.archive.tarstream import clean
from lamina_runtime.archive.wanted import Documents, Part, Wanted, array, matched, tagged
from lamina_runtime.oci.config import ImageConfig

MANIFEST = "manifest.json"


def images(archive: Documents) -> list[Wanted]:
    """Return the images that manifest.json names."""
    found = []
    for entry in array(archive.document(MANIFEST), MANIFEST):
        config = ImageConfig.parse(archive.document(clean(entry.need_text("Config"))))
        layers = tuple(clean(name) for name in entry.texts("Layers"))
        parts = tuple(Part(name, diff_id) for name, diff_id in matched(config, layers, entry.what))
        names = tuple(tagged(text, entry.what) for text in entry.texts("RepoTags"))
        found.append(Wanted(config, parts, names=tuple(dict.fromkeys(names))))
    if not found:
        raise ArchiveError(f"{MANIFEST} names no image")
    return found
