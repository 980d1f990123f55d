"""Media types: which documents and layers there are, OCI's and docker's."""

from __future__ import annotations

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = OCI_LAYER + "+gzip"
OCI_LAYER_ZSTD = OCI_LAYER + "+zstd"
OCI_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OCI_FOREIGN_GZIP = OCI_FOREIGN + "+gzip"
OCI_FOREIGN_ZSTD = OCI_FOREIGN + "+zstd"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_DESCRIPTOR = "application/vnd.oci.descriptor.v1+json"
OCI_LAYOUT = "application/vnd.oci.layout.header.v1+json"

DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = DOCKER_LAYER + ".gzip"
DOCKER_LAYER_ZSTD = DOCKER_LAYER + ".zstd"
DOCKER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar"
DOCKER_FOREIGN_GZIP = DOCKER_FOREIGN + ".gzip"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEXES = (OCI_INDEX, DOCKER_INDEX)
ACCEPTED = MANIFESTS + INDEXES  # what to ask a registry for


class Kind:
    """What a descriptor points at: one of these words."""

    INDEX = "index"
    MANIFEST = "manifest"
    CONFIG = "config"
    LAYER = "layer"
    OTHER = "other"


_KINDS = {
    **dict.fromkeys(INDEXES, Kind.INDEX),
    **dict.fromkeys(MANIFESTS, Kind.MANIFEST),
    OCI_CONFIG: Kind.CONFIG,
    DOCKER_CONFIG: Kind.CONFIG,
}
_LAYERS = (OCI_LAYER, OCI_FOREIGN, DOCKER_LAYER, DOCKER_FOREIGN)
_FOREIGN = (OCI_FOREIGN, DOCKER_FOREIGN)


def bare(media_type: str) -> str:
    """Return the type without parameters, in lower case, as HTTP compares them."""
    return media_type.partition(";")[0].strip().lower()


def kind(media_type: str) -> str:
    """Say what a type is; OTHER for what we do not know."""
    plain = bare(media_type)
    if plain.startswith(_LAYERS):
        return Kind.LAYER
    return _KINDS.get(plain, Kind.OTHER)


def compression(media_type: str) -> str:
    """Return "gzip", "zstd", whatever else a layer's type ends with, or "none"."""
    plain = bare(media_type)
    for base in _LAYERS:
        if plain.startswith((base + "+", base + ".")):
            return plain[len(base) + 1 :]
    return "none"


def layer_type(compression: str, *, docker: bool = False) -> str:
    """Return the type of a layer in a compression ("none", "gzip", "zstd")."""
    if compression == "none":
        return DOCKER_LAYER if docker else OCI_LAYER
    return f"{DOCKER_LAYER}.{compression}" if docker else f"{OCI_LAYER}+{compression}"


def is_foreign(media_type: str) -> bool:
    """Say whether a layer is not to be pushed: it lies at its urls only."""
    return bare(media_type).startswith(_FOREIGN)


def is_docker(media_type: str) -> bool:
    """Say whether a type is docker's rather than OCI's."""
    return bare(media_type).startswith("application/vnd.docker.")


def is_schema1(media_type: str) -> bool:
    """Say whether this is docker's manifest of before 2016, which nobody reads any more."""
    return bare(media_type) in (DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED)
