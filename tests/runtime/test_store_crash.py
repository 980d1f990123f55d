"""kill -9 at every change to the disk, a full disk, many processes at once: the store stays good."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from lamina_runtime.errors import LaminaError
from lamina_runtime.oci import media
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.reference import Reference
from lamina_runtime.store import Store
from lamina_runtime.store.errors import StoreError
from lamina_runtime.store.images import Image

from tests.runtime.crashes import die_at, instants
from tests.runtime.stores import damage, files_of, gzipped, put_image, put_layer, tar_of

ROOT = Path(__file__).resolve().parents[2]
ONE = tar_of({"a": os.urandom(100_000), "b": b"b" * 99})
TWO = tar_of({"c": b"c" * 100_000})
NAME = Reference.parse("a")
MOST = 500  # changes of any action here


def load(root: Path) -> None:
    store = Store.open(root)
    with store.lease("load"):
        image = put_image(store, [ONE, TWO])
        put_layer(store, TWO, media_type=media.OCI_LAYER)
        store.layers.blob(Digest.of(TWO), media.OCI_LAYER_ZSTD)
        store.references.set(NAME, image.id, image.manifest.descriptor)


def remove(store: Store, image: Image) -> None:
    store.images.remove(image.id)
    store.collect()


def assert_good(store: Store) -> None:
    assert damage(store.check(full=True)) == []
    for image in store.images.list():
        assert image.config.id == image.id
        assert [path.stat().st_size for path in image.devices]
    for named in store.references.list():
        store.images.get(named.image_id)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_load_that_is_killed_anywhere_leaves_a_good_store(tmp_path: Path) -> None:
    load(tmp_path / "whole")
    whole = files_of(Store.open(tmp_path / "whole"))
    for number in instants(MOST):
        root = tmp_path / str(number)
        finished = die_at(number, partial(load, root))
        store = Store.open(root)
        assert_good(store)
        if number % 2 == 0:
            store.collect()
            assert_good(store)
        load(root)
        assert files_of(store) >= whole
        assert store.images.list()[0].devices[0].read_bytes() == ONE
        store.collect()
        assert store.check(full=True) == []
        assert {name for name in files_of(store) if "temporary/partial" not in name} <= whole
        if finished:
            assert number > 30
            return
    raise AssertionError("it never finished")


def test_a_collection_that_is_killed_anywhere_leaves_a_good_store(tmp_path: Path) -> None:
    for number in range(1, MOST):
        store = Store.open(tmp_path / str(number))
        kept, gone = put_image(store, [ONE]), put_image(store, [ONE, TWO])
        store.references.set(NAME, gone.id, gone.manifest.descriptor)
        finished = die_at(number, partial(remove, store, gone))
        assert_good(store)
        if gone.id in [image.id for image in store.images.list()]:
            store.images.remove(gone.id)
        store.collect()
        assert [image.id for image in store.images.list()] == [kept.id]
        assert store.check(full=True) == []
        assert store.layers.list() == [Digest.of(ONE)]
        if finished:
            assert number > 8
            return
    raise AssertionError("it never finished")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs whose size the test changes."""
    top = tmp_path / "disk"
    top.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "lamina-test", str(top)], check=True, timeout=10
    )
    yield top
    subprocess.run(["umount", "-l", str(top)], check=True, timeout=10)


def resize(top: Path, kib: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kib}k", str(top)], check=True, timeout=10)


@pytest.mark.root
def test_a_full_disk_leaves_a_good_store_and_room_makes_it_go_on(small_disk: Path) -> None:
    refused = 0
    for kib in range(16, 3000, 12):
        resize(small_disk, kib)
        try:
            load(small_disk / "store")
        except StoreError as exc:
            refused += 1
            assert "No space left on device" in str(exc)
            assert "\n" not in str(exc)
            assert exc.hint
        else:
            break
    assert refused > 25
    store = Store.open(small_disk / "store")
    assert store.check(full=True) == []
    store.collect()
    assert store.images.list()[0].devices[0].read_bytes() == ONE
    assert [path.name for path in (store.root / "temporary").iterdir() if "partial" not in path.name] == []


@pytest.mark.root
def test_every_step_of_a_full_disk_leaves_a_good_store(small_disk: Path) -> None:
    resize(small_disk, 220)
    store = Store.open(small_disk / "store")
    before = store.blobs.add(b"was here before")
    with pytest.raises(LaminaError):
        load(small_disk / "store")
    assert damage(store.check(full=True)) == []
    assert store.blobs.read(before) == b"was here before"


WORK = """
import sys
from pathlib import Path
from lamina_runtime.oci.reference import Reference
from lamina_runtime.store import Store
from tests.runtime.stores import put_image, tar_of
import random
store = Store.open(Path(sys.argv[1]))
chance = random.Random(sys.argv[2])
for turn in range(12):
    number = chance.randrange(4)
    image = put_image(store, [tar_of({"base": b"b" * 50_000}), tar_of({"n": b"%d" % number * 9000})])
    with store.lease("use"):
        try:
            found = store.images.get(image.id)
            store.references.set(Reference.parse(f"n{number}"), found.id, found.manifest.descriptor)
        except Exception as exc:
            assert "not in the store" in str(exc), exc
            continue
        assert [len(path.read_bytes()) for path in found.devices]
        assert found.config.id == found.id
    what = chance.randrange(3)
    if what == 0:
        store.collect()
    elif what == 1:
        try:
            store.images.remove(image.id)
        except Exception as exc:
            assert "not in the store" in str(exc), exc
    else:
        found = [problem for problem in store.check(full=False) if problem.kind != "stray"]
        assert found == [], found
"""


def test_many_processes_share_a_store(tmp_path: Path) -> None:
    root = tmp_path / "store"
    seeds = [str(random.random()) for _ in range(5)]
    running = [
        subprocess.Popen([sys.executable, "-c", WORK, str(root), seed], cwd=ROOT, stderr=subprocess.PIPE)
        for seed in seeds
    ]
    for process in running:
        _, complaint = process.communicate(timeout=100)
        assert process.returncode == 0, complaint.decode()
    store = Store.open(root)
    assert_good(store)
    store.collect()
    assert store.check(full=True) == []


def test_threads_share_a_store(store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    tars = [tar_of({"n": b"%d" % (number % 5) * 100_000}) for number in range(20)]
    with store.lease("pull"), ThreadPoolExecutor(8) as pool:
        infos = list(pool.map(lambda tar: put_layer(store, gzipped(tar), diff_id=Digest.of(tar)), tars))
    assert [info.diff_id for info in infos] == [Digest.of(tar) for tar in tars]
    assert len(store.layers.list()) == 5
    assert store.check(full=True) == []
