"""What is needed stays, what is not goes, whoever dies when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lamina_runtime.errors import LaminaError
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.manifest import build_index
from lamina_runtime.oci.reference import Reference
from lamina_runtime.store import Store
from lamina_runtime.store.errors import StoreError

from tests.runtime.stores import described, files_of, gzipped, put_image, put_layer, tar_of

ONE, TWO, THREE = (tar_of({name: name.encode() * 5000}) for name in "abc")


def test_what_images_need_stays_and_the_rest_goes(store: Store) -> None:
    one, two = put_image(store, [ONE, TWO]), put_image(store, [ONE, THREE])
    before = files_of(store)
    assert store.collect().size == 0
    assert files_of(store) == before
    store.images.remove(two.id)
    planned = store.collect(dry_run=True)
    assert files_of(store) == before - {f"images/sha256/{two.id.hex}"}
    done = store.collect()
    assert planned == done
    assert done.size > 0
    assert done.layers == (Digest.of(THREE).hex,)
    assert set(done.blobs) == {two.id, two.manifests[0].digest, Digest.of(gzipped(THREE))}
    assert store.layers.list() == sorted([Digest.of(ONE), Digest.of(TWO)])
    assert store.check(full=True) == []
    store.images.remove(one.id)
    store.collect()
    assert files_of(store) == set()


def test_an_index_stays_as_long_as_a_name_came_from_it(store: Store) -> None:
    image = put_image(store, [ONE])
    index = build_index([image.manifest.descriptor])
    store.blobs.add(index.raw)
    store.references.set(Reference.parse("a"), image.id, image.manifest.descriptor, index.descriptor)
    store.collect()
    assert store.blobs.has(index.digest)
    store.references.remove(Reference.parse("a"))
    store.collect()
    assert not store.blobs.has(index.digest)
    assert store.images.get(image.id).config


def test_a_lease_protects_what_is_added_and_what_is_asked_for(store: Store) -> None:
    old = store.blobs.add(b"old")
    put_layer(store, gzipped(TWO))
    unasked = store.blobs.add(b"unasked")
    with store.lease("pull"):
        new = store.blobs.add(b"new")
        assert store.blobs.has(old)
        put_layer(store, gzipped(ONE))
        assert store.layers.has(Digest.of(TWO))
        Store.open(store.root).collect()
        assert all(map(store.blobs.has, (old, new, Digest.of(gzipped(ONE)))))
        assert not store.blobs.has(unasked)
        assert store.layers.list() == sorted([Digest.of(ONE), Digest.of(TWO)])
    store.collect()
    assert files_of(store) == set()


def test_an_image_in_use_outlives_its_removal(store: Store) -> None:
    image = put_image(store, [ONE])
    with store.lease("mount"):
        used = store.images.get(image.id)
        store.images.remove(image.id)
        store.collect()
        assert used.metadata.exists()
        assert used.config.id == image.id
        assert [path.read_bytes() for path in used.devices] == [ONE]
    store.collect()
    assert files_of(store) == set()


HOLD = """
import sys, time
from pathlib import Path
from lamina_runtime.store import Store
store = Store.open(Path(sys.argv[1]))
with store.lease("child"):
    store.blobs.add(b"held")
    print("held", flush=True)
    time.sleep(100)
"""


def test_a_lease_ends_with_its_process_even_by_kill_9(store: Store) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(store.root)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        store.collect()
        assert store.blobs.has(Digest.of(b"held"))
        child.kill()
    store.collect()
    assert files_of(store) == set()


def test_a_lease_can_be_handed_over(store: Store) -> None:
    with subprocess.Popen(["sleep", "100"]) as child:
        with store.lease("mount") as lease:
            digest = store.blobs.add(b"one")
            lease.hand_over(child.pid)
            later = store.blobs.add(b"two")
        store.collect()
        assert store.blobs.has(digest)
        assert store.blobs.has(later)
        child.kill()
        child.wait()
    store.collect()
    assert files_of(store) == set()


def test_a_zombie_holds_nothing(store: Store) -> None:
    child = subprocess.Popen(["sleep", "100"])
    try:
        with store.lease("mount") as lease:
            store.blobs.add(b"one")
            lease.hand_over(child.pid)
        os.kill(child.pid, signal.SIGKILL)
        end = time.monotonic() + 10
        while "Z" not in Path(f"/proc/{child.pid}/stat").read_text().split(")")[1] and time.monotonic() < end:
            time.sleep(0.01)
        store.collect()
        assert files_of(store) == set()
        with store.lease("late") as lease, pytest.raises(LaminaError, match="gone"):
            lease.hand_over(child.pid)
    finally:
        child.wait()


def test_a_lease_can_be_kept_until_it_is_ended(store: Store) -> None:
    with store.lease("container") as lease:
        digest = store.blobs.add(b"one")
        name = lease.keep()
    again = Store.open(store.root)
    again.collect()
    assert again.blobs.has(digest)
    assert again.end_lease(name)
    assert not again.end_lease(name)
    assert not again.end_lease("../store.json")
    again.collect()
    assert files_of(store) == set()


def test_a_process_number_that_is_used_again_holds_nothing(store: Store) -> None:
    with store.lease("old") as lease:
        store.blobs.add(b"one")
        lease.hand_over(os.getpid())
        path = lease.path
    path.write_text(path.read_text().replace('"start":', '"start":1'))
    store.collect()
    assert files_of(store) == set()


def test_a_damaged_lease_is_no_obstacle(store: Store) -> None:
    (store.root / "leases" / "broken").write_bytes(b"\xff{")
    store.collect()
    assert files_of(store) == set()


def test_transfers_under_way_stay_and_old_ones_go(store: Store) -> None:
    blob = os.urandom(1000)
    wanted = described(blob)
    with store.blobs.writer(wanted) as writer:
        writer.write(blob[:500])
        store.collect()
        writer.write(blob[500:900])
    store.collect()
    with store.blobs.writer(wanted) as writer:
        assert writer.offset == 900
    (partial,) = (store.root / "temporary").iterdir()
    os.utime(partial, (0, 0))
    (store.root / "temporary" / "stray").write_bytes(b"x")
    (store.root / "devices" / ("0" * 64)).write_bytes(b"x")
    assert [problem.kind for problem in store.check(full=False)] == ["stray"]
    assert store.collect().others == 3
    assert files_of(store) == set()


def test_a_layer_under_way_survives_a_collection(store: Store) -> None:
    blob = gzipped(ONE)
    with store.layers.writer(described(blob), diff_id=None) as writer:
        writer.write(blob[:20])
        store.collect()
        writer.write(blob[20:])
        writer.commit()
    assert store.blobs.read(Digest.of(ONE)) == ONE


def test_a_manifest_that_cannot_be_read_stops_the_collection(store: Store) -> None:
    image = put_image(store, [ONE])
    digest = image.manifests[0].digest
    path = store.root / "blobs/sha256" / digest.hex
    path.write_bytes(path.read_bytes()[:-1])
    before = files_of(store)
    with pytest.raises(LaminaError, match="cannot be read"):
        store.collect()
    assert files_of(store) == before


def test_usage_says_what_is_shared(store: Store) -> None:
    one, two = put_image(store, [ONE, TWO]), put_image(store, [ONE, THREE])
    found = store.usage()
    by_id = {image.id: image for image in found.images}
    assert set(by_id) == {one.id, two.id}
    for image in by_id.values():
        assert 0 < image.shared < image.size
        assert not image.in_use
    assert found.layers.count == 3
    assert found.metadata.count == 2
    assert found.reclaimable == 0
    assert found.total == found.layers.size + found.blobs.size + found.metadata.size
    store.images.remove(two.id)
    assert store.usage().reclaimable == pytest.approx(by_id[two.id].unique, abs=4096)
    with store.lease("use"):
        store.images.get(one.id)
        assert store.usage().images[0].in_use


def test_a_lease_that_cannot_be_written_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr("os.write", full)
    with pytest.raises(StoreError, match="No space left"), store.lease("x"):
        pass
    monkeypatch.undo()
    assert not list((store.root / "leases").iterdir())
    assert len(os.listdir("/proc/self/fd")) == before
