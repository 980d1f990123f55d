"""What two do at once, in the worst order there is: each is as if it had been alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from lamina_runtime.container.collection import Containers
from lamina_runtime.container.wishes import Wishes
from lamina_runtime.engine import containers, mounting, mounts, removal, tagging
from lamina_runtime.engine.context import Engine
from lamina_runtime.errors import LaminaError, NotFoundError
from lamina_runtime.oci import media
from lamina_runtime.oci.descriptor import Descriptor
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.manifest import build_index, build_manifest
from lamina_runtime.oci.reference import Reference
from lamina_runtime.store import Store, check, collect, files, lease
from lamina_runtime.store.images import Image
from lamina_runtime.store.references import ReferenceStore

from tests.runtime.interleaving import Other, at
from tests.runtime.stores import described, files_of, gzipped, put_image, put_layer, tar_of

ONE, TWO = tar_of({"a": b"a" * 5000}), tar_of({"b": b"b" * 5000})
NAME, OTHER = Reference.parse("a"), Reference.parse("b")


def again(store: Store) -> Store:
    """Return the store as another process has it."""
    return Store.open(store.root)


def named(store: Store, image: Image, name: Reference = NAME) -> None:
    store.references.set(name, image.id, image.manifest.descriptor)


def without(store: Store, image: Image) -> None:
    store.images.remove(image.id)
    store.collect()


def test_an_image_that_is_just_given_a_name_is_not_removed_from_under_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = put_image(store, [ONE])
    other = Other(monkeypatch, lambda: without(again(store), image))
    at(monkeypatch, files, "replace", other.start)
    named(store, image)
    other.end()
    assert other.waited
    assert store.references.list() == []
    assert store.check(full=True) == []


def test_of_two_who_bring_an_image_by_different_manifests_both_are_noted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = put_image(store, [ONE])
    config, kept = image.config, image.manifest
    layer = Descriptor(media.OCI_LAYER, Digest.of(ONE), len(ONE))
    manifests = [build_manifest(config.descriptor(), [layer], annotations={"n": text}) for text in "12"]

    def bring(into: Store, number: int) -> None:
        with into.lease("load") as held:
            into.images.add(manifests[number], config, held)

    other = Other(monkeypatch, lambda: bring(again(store), 1))
    place = store.root / "images" / "sha256" / image.id.hex
    real, met = files.replace, []

    def replaced(target: Path, data: bytes, *, temporary: Path) -> None:
        if target == place and not met:
            met.append(target)
            other.start()
        real(target, data, temporary=temporary)

    monkeypatch.setattr(files, "replace", replaced)
    bring(store, 0)
    other.end()
    found = store.images.get(image.id).manifests
    assert [each.digest for each in found] == [kept.digest, manifests[0].digest, manifests[1].digest]


def test_a_loaded_image_has_its_name_before_a_prune_sees_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = put_image(engine.store, [ONE])
    config, manifest = base.config, base.manifest
    engine.store.images.remove(base.id)
    other = Other(monkeypatch, lambda: removal.prune(Engine(str(engine.root)), everything=False, words=[]))
    at(monkeypatch, ReferenceStore, "set", other.start)
    with engine.store.lease("load") as held:
        engine.store.images.add(manifest, config, held, names=[NAME])
    other.end()
    assert other.waited
    assert [each.reference for each in engine.store.references.list()] == [NAME]
    assert engine.store.check(full=True) == []


def test_a_name_given_while_an_image_is_removed_comes_too_late_or_keeps_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    named(engine.store, put_image(engine.store, [ONE]))
    other = Other(monkeypatch, lambda: tagging.tag(again(engine.store), "a", "b"))
    at(monkeypatch, removal, "_refuse_if_used", other.start)
    assert removal.remove(engine, "a", force=False).deleted
    with pytest.raises(NotFoundError, match="No such image"):
        other.end()
    assert engine.store.references.list() == []


def test_an_image_removed_while_it_is_tagged_loses_one_name(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    named(engine.store, put_image(engine.store, [ONE]))
    other = Other(monkeypatch, lambda: removal.remove(Engine(str(engine.root)), "a", force=False))
    at(monkeypatch, ReferenceStore, "set", other.start)
    tagging.tag(engine.store, "a", "b")
    other.end()
    assert [each.reference for each in engine.store.references.list()] == [OTHER]
    assert engine.store.check(full=True) == []


def test_an_index_that_a_tag_has_seen_stays_for_it(store: Store) -> None:
    image = put_image(store, [ONE])
    index = build_index([image.manifest.descriptor])
    store.blobs.add(index.raw)
    store.references.set(NAME, image.id, image.manifest.descriptor, index.descriptor)
    with store.lease("tag"):
        known = store.references.get(NAME)
        assert known is not None
        again(store).references.remove(NAME)
        again(store).collect()
        store.references.set(OTHER, known.image_id, known.manifest, known.index)
    store.collect()
    assert store.check(full=True) == []


def test_a_name_is_refused_without_its_manifest(store: Store) -> None:
    image = put_image(store, [ONE])
    absent = build_index([image.manifest.descriptor])
    with pytest.raises(LaminaError, match=r"manifest .* is not in the store"):
        store.references.set(NAME, image.id, image.manifest.descriptor, absent.descriptor)
    assert store.references.list() == []


def test_a_container_holds_its_image_against_a_removal_at_the_same_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    named(engine.store, put_image(engine.store, [ONE]))
    other = Other(monkeypatch, lambda: removal.remove(Engine(str(engine.root)), "a", force=False))
    at(monkeypatch, Containers, "create", other.start)
    made = containers.create(engine, "a", Wishes(command=("x",)))
    with pytest.raises(removal.ConflictError, match="container"):
        other.end()
    assert engine.store.images.get(made.record.image)


def test_no_container_is_made_of_an_image_that_goes(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    named(engine.store, put_image(engine.store, [ONE]))
    wishes = Wishes(command=("x",))
    other = Other(monkeypatch, lambda: containers.create(Engine(str(engine.root)), "a", wishes))
    at(monkeypatch, removal, "_untag", other.start)
    assert removal.remove(engine, "a", force=False).deleted
    with pytest.raises(NotFoundError):
        other.end()
    assert containers.containers(engine).list() == []


@pytest.mark.fuse
def test_a_mount_holds_its_image_against_a_removal_at_the_same_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    named(engine.store, put_image(engine.store, [ONE]))
    other = Other(monkeypatch, lambda: removal.remove(Engine(str(engine.root)), "a", force=False))
    at(monkeypatch, mounts, "write", other.start)
    place = tmp_path / "place"
    place.mkdir()
    mounted = mounting.mount(engine, "a", str(place), mounting.Wish())
    try:
        with pytest.raises(removal.ConflictError, match="mounted"):
            other.end()
        assert (place / "a").read_bytes() == b"a" * 5000
    finally:
        mounting.unmount(engine, mounted)


def test_a_check_sees_no_name_without_its_image_while_it_is_removed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = put_image(store, [ONE])
    named(store, image)
    other = Other(monkeypatch, lambda: again(store).images.remove(image.id))
    real = check.read_reference

    def read(path: Path) -> object:
        found = real(path)
        other.start()
        return found

    monkeypatch.setattr(check, "read_reference", read)
    assert store.check(full=True) == []
    other.end()
    assert other.waited
    assert store.images.list() == []


def test_a_check_takes_no_layer_under_way_for_a_stray(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[object] = []
    at(monkeypatch, files, "publish", lambda: found.extend(again(store).check(full=True)), turn=3)
    put_layer(store, gzipped(ONE))
    assert found == []


def test_a_lease_that_ends_while_it_is_read_stops_no_collection(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_layer(store, gzipped(ONE))
    real = lease.is_alive

    def is_alive(path: Path) -> bool:
        found = real(path)
        path.unlink(missing_ok=True)
        return found

    ending = store.root / "leases" / "ends"
    ending.write_bytes(b'{"reason":"x","holder":{"pid":0}}\n')
    monkeypatch.setattr(lease, "is_alive", is_alive)
    assert store.usage().reclaimable
    ending.write_bytes(b'{"reason":"x","holder":{"pid":0}}\n')
    store.collect()
    assert files_of(store) == set()


def test_a_transfer_that_ends_meanwhile_stops_no_collection(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = gzipped(ONE)
    with store.blobs.writer(described(blob)) as writer:
        writer.write(blob[:9])
    (store.root / "temporary" / "shop").mkdir()
    (store.root / "temporary" / "shop" / "tar").write_bytes(b"x")
    real = files.is_held

    def is_held(path: Path) -> bool:
        found = real(path)
        if path.parent.name == "temporary":
            files.remove_tree(path) if path.is_dir() else path.unlink()
        return found

    monkeypatch.setattr(collect.files, "is_held", is_held)
    assert store.collect().size == 0
    assert files_of(store) == set()


def test_a_lease_is_handed_over_whatever_is_collected_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.lease("mount") as held:
        digest = store.blobs.add(b"held")
        other = Other(monkeypatch, lambda: again(store).collect())
        at(monkeypatch, files, "publish", other.start)
        name = held.keep()
        other.end()
    assert store.blobs.has(digest)
    assert store.end_lease(name)


def test_two_who_load_the_same_layers_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        named(store, put_image(again(store), [ONE, TWO]))

    other = Other(monkeypatch, load)
    at(monkeypatch, files, "publish", other.start)
    named(store, put_image(store, [ONE, TWO]))
    other.end()
    assert store.check(full=True) == []
    store.collect()
    assert not list((store.root / "temporary").iterdir())
