"""What tests of the store share: small layers, images put into a store, what lies on the disk."""

from __future__ import annotations

import functools
import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lamina_runtime.oci import media
from lamina_runtime.oci.config import ImageConfig
from lamina_runtime.oci.container import History
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.manifest import build_manifest
from lamina_runtime.oci.platform import Platform
from lamina_runtime.store import Store
from lamina_runtime.store.forms import LayerInfo
from lamina_runtime.store.images import Image
from lamina_runtime.store.problem import Problem

from tests.support.samples import Sample

AMD64 = Platform("linux", "amd64")


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """Return a layer's tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), 1_700_000_000
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


@functools.cache
def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


def described(blob: bytes, media_type: str = media.OCI_LAYER_GZIP, algorithm: str = "sha256") -> Descriptor:
    return Descriptor(media_type, Digest.of(blob, algorithm), len(blob))


def put_layer(
    store: Store,
    blob: bytes,
    *,
    media_type: str = media.OCI_LAYER_GZIP,
    diff_id: Digest | None = None,
    keep_blob: bool = True,
    step: int = 100_000,
) -> LayerInfo:
    """Store a layer that arrives in steps."""
    with store.layers.writer(described(blob, media_type), diff_id=diff_id, keep_blob=keep_blob) as writer:
        for start in range(writer.offset, len(blob), step):
            writer.write(blob[start : start + step])
        return writer.commit()


def put_image(store: Store, tars: Sequence[bytes], *, label: str = "", compress: bool = True) -> Image:
    """Store an image of some layers' tars."""
    config = ImageConfig.new(AMD64, created="2024-01-01T00:00:00Z", author=label)
    blobs = [gzipped(tar) if compress else tar for tar in tars]
    kind = media.OCI_LAYER_GZIP if compress else media.OCI_LAYER
    with store.lease("test") as lease:
        for tar, blob in zip(tars, blobs, strict=True):
            diff_id = Digest.of(tar)
            if not store.layers.has(diff_id):
                put_layer(store, blob, media_type=kind, diff_id=diff_id)
            config = config.with_step(History(created_by="x"), diff_id)
        manifest = build_manifest(config.descriptor(), [described(blob, kind) for blob in blobs])
        return store.images.add(manifest, config, lease)


def put_sample(store: Store, sample: Sample) -> Image:
    """Store a sample from its OCI layout."""
    from lamina_runtime.oci.manifest import Manifest, parse

    def blob(digest: Digest) -> Path:
        return sample.layout / "blobs" / digest.algorithm / digest.hex

    manifest = parse(blob(Digest.parse(sample.manifest)).read_bytes())
    assert isinstance(manifest, Manifest)
    config = ImageConfig.parse(blob(manifest.config.digest).read_bytes())
    with store.lease("test") as lease:
        for descriptor, diff_id in zip(manifest.layers, config.diff_ids, strict=True):
            with (
                store.layers.writer(descriptor, diff_id=diff_id) as writer,
                blob(descriptor.digest).open("rb") as file,
            ):
                while piece := file.read(1 << 18):
                    writer.write(piece)
                writer.commit()
        return store.images.add(manifest, config, lease)


def files_of(store: Store) -> set[str]:
    """Return every file of a store, but for those that come and go."""
    names = {str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file()}
    return names - {"lock", "records.lock", "store.json"}


def damage(problems: Sequence[Problem]) -> list[Problem]:
    """Return what is really wrong: not what a crash leaves for the next collection."""
    return [problem for problem in problems if problem.kind != "stray"]
