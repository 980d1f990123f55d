"""`lamina inspect`: an image as docker describes it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lamina_runtime.store import Store
    from lamina_runtime.store.images import Image

# What docker shows of a configuration even where the image does not say.
EMPTY: dict[str, Any] = {
    "User": "",
    "Env": None,
    "Cmd": None,
    "Entrypoint": None,
    "Volumes": None,
    "WorkingDir": "",
    "Labels": None,
    "OnBuild": None,
}


def describe(store: Store, image: Image) -> dict[str, Any]:
    """Return what is known of an image, in docker's names and order."""
    config = image.config
    fields = config.fields
    names = [named for named in store.references.list() if named.image_id == image.id]
    digests = {
        f"{named.reference.familiar_name}@{(named.index or named.manifest).digest}": None for named in names
    }
    described = {
        "Id": str(image.id),
        "RepoTags": [named.reference.familiar for named in names if named.reference.tag],
        "RepoDigests": sorted(digests),
        "Parent": "",
        "Comment": fields.get("comment") or (config.history[-1].comment if config.history else ""),
        "Created": config.created,
        "DockerVersion": fields.get("docker_version") or "",
        "Author": config.author,
        "Config": {**EMPTY, **(fields.get("config") or {})},
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": image.size,
        "GraphDriver": {
            "Data": {"Metadata": str(image.metadata), "Devices": [str(device) for device in image.devices]},
            "Name": "lamina",
        },
        "RootFS": {"Type": "layers", "Layers": [str(diff_id) for diff_id in image.diff_ids]},
        "Metadata": {
            "Manifest": str(image.manifests[-1].digest),
            "MediaType": image.manifests[-1].media_type,
        },
    }
    if config.variant:
        described["Variant"] = config.variant
    if config.os_version:
        described["OsVersion"] = config.os_version
    return described
