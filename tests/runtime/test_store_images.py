"""Images and their names: found, listed, removed; metadata shared."""

from __future__ import annotations

from pathlib import Path

import pytest
from lamina_runtime.errors import IntegrityError, LaminaError, NotFoundError
from lamina_runtime.oci import media
from lamina_runtime.oci.config import ImageConfig
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.manifest import build_index, build_manifest
from lamina_runtime.oci.reference import Reference
from lamina_runtime.store import Store

from tests.runtime.stores import AMD64, described, gzipped, put_image, tar_of

ONE, TWO = tar_of({"a": b"1"}), tar_of({"b": b"2"})


def test_an_image_is_what_was_put_in(store: Store) -> None:
    made = put_image(store, [ONE, TWO])
    got = store.images.get(made.id)
    assert (got.id, got.created, got.platform) == (made.id, "2024-01-01T00:00:00Z", "linux/amd64")
    assert got.size == len(ONE) + len(TWO)
    assert got.config.diff_ids == got.diff_ids == (Digest.of(ONE), Digest.of(TWO))
    assert got.config.id == got.id
    assert got.manifest.layers[1].digest == Digest.of(gzipped(TWO))
    assert [path.read_bytes() for path in got.devices] == [ONE, TWO]
    assert got.metadata.is_file()
    assert store.check(full=True) == []


def test_images_of_the_same_layers_share_their_metadata(store: Store) -> None:
    one, two = put_image(store, [ONE, TWO], label="1"), put_image(store, [ONE, TWO], label="2")
    other = put_image(store, [TWO, ONE])
    assert one.id != two.id
    assert one.metadata == two.metadata != other.metadata
    assert other.devices == one.devices[::-1]


def test_an_image_without_layers_is_an_image(store: Store) -> None:
    got = put_image(store, [])
    assert (got.size, got.devices) == (0, ())
    assert store.check(full=True) == []


def test_a_layer_may_be_there_twice(store: Store) -> None:
    got = put_image(store, [ONE, TWO, ONE])
    assert len(got.diff_ids) == 3
    assert store.check(full=True) == []


def test_an_image_can_come_by_several_manifests(store: Store) -> None:
    first = put_image(store, [ONE])
    second = put_image(store, [ONE], compress=False)
    assert first.id == second.id
    assert second.manifests == (first.manifest.descriptor, second.manifest.descriptor)
    assert second.manifest.layers[0].media_type == media.OCI_LAYER
    assert put_image(store, [ONE]).manifests[::-1] == second.manifests


def test_images_are_found_by_the_beginning_of_their_ids(store: Store) -> None:
    images = [put_image(store, [ONE], label=str(number)) for number in range(20)]
    assert [image.id for image in store.images.list()] == sorted(image.id for image in images)
    for image in images:
        for prefix in (image.id.hex, image.id.short, str(image.id), str(image.id)[:20]):
            assert [found.id for found in store.images.find(prefix)] == [image.id]
    letter = images[0].id.hex[0]
    assert {found.id for found in store.images.find(letter)} == {
        image.id for image in images if image.id.hex.startswith(letter)
    }
    for prefix in ("", "sha256:", "xyz", "../..", "sha512:" + images[0].id.hex, "A", "sha256"):
        assert store.images.find(prefix) == []


def test_an_image_whose_parts_are_missing_is_refused(store: Store) -> None:
    config = ImageConfig.new(AMD64).edit(diff_ids=[Digest.of(ONE)])
    layer = described(gzipped(ONE))
    with store.lease("test") as lease:
        with pytest.raises(NotFoundError, match="layer"):
            store.images.add(build_manifest(config.descriptor(), [layer]), config, lease)
        with pytest.raises(LaminaError, match="0 layers"):
            store.images.add(build_manifest(config.descriptor(), []), config, lease)
        other = ImageConfig.new(AMD64)
        with pytest.raises(IntegrityError):
            store.images.add(build_manifest(other.descriptor(), [layer]), config, lease)
    assert store.images.list() == []


def test_a_removed_image_takes_its_names_along(store: Store) -> None:
    one, two = put_image(store, [ONE]), put_image(store, [TWO])
    for name, image in (("a", one), ("b", one), ("c", two)):
        store.references.set(Reference.parse(name), image.id, image.manifest.descriptor)
    store.images.remove(one.id)
    assert [str(named.reference) for named in store.references.list()] == ["docker.io/library/c:latest"]
    for call in (store.images.get, store.images.remove):
        with pytest.raises(NotFoundError):
            call(one.id)


def test_names_stand_for_images(store: Store) -> None:
    one, two = put_image(store, [ONE]), put_image(store, [TWO])
    index = build_index([one.manifest.descriptor])
    store.blobs.add(index.raw)
    name = Reference.parse("debian")
    assert store.references.get(name) is None
    store.references.set(name, one.id, one.manifest.descriptor, index.descriptor)
    named = store.references.get(name)
    assert named is not None
    assert (named.reference, named.image_id, named.index) == (name, one.id, index.descriptor)
    store.references.set(name, two.id, two.manifest.descriptor)
    named = store.references.get(name)
    assert named is not None
    assert (named.image_id, named.index) == (two.id, None)
    assert store.references.names(two.id) == [name]
    assert store.references.names(one.id) == []
    assert store.references.remove(name)
    assert not store.references.remove(name)
    with pytest.raises(NotFoundError):
        store.references.set(name, Digest.of(b"nothing"), one.manifest.descriptor)


def test_a_name_with_a_digest_is_kept_without_its_tag(store: Store) -> None:
    image = put_image(store, [ONE])
    full = Reference.parse(f"debian:12@{image.manifest.digest}")
    store.references.set(full, image.id, image.manifest.descriptor)
    assert [str(name) for name in store.references.names(image.id)] == [
        f"docker.io/library/debian@{image.manifest.digest}"
    ]
    assert store.references.get(full) is not None
    assert store.references.remove(full)


def test_two_stores_are_two(tmp_path: Path) -> None:
    one, two = Store.open(tmp_path / "one"), Store.open(tmp_path / "two")
    image = put_image(one, [ONE])
    assert two.images.list() == []
    assert [found.id for found in Store.open(tmp_path / "one").images.list()] == [image.id]
