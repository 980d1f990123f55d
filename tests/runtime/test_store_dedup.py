"""Content that several layers have is kept once, and nobody can tell."""

from __future__ import annotations

import contextlib
import io
import os
import random
import tarfile
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lamina_runtime.oci import media
from lamina_runtime.oci.digest import Digest
from lamina_runtime.store import Store, moves
from lamina_runtime.store.assembled import open_tar
from lamina_runtime.store.images import Image
from lamina_runtime.store.moves import Move

from tests.erofs import images as erofs
from tests.erofs.images import by_kernel
from tests.runtime.crashes import die_at, instants
from tests.runtime.stores import damage, gzipped, put_image, put_layer, put_sample, tar_of
from tests.support.dump import dump
from tests.support.samples import sample

FILES = {f"f{number:02}": os.urandom(3_000 + 997 * number) for number in range(30)}
ONE = tar_of(FILES)
TWO = tar_of(
    {"new": b"n" * 5000, **{name: data for name, data in FILES.items() if name != "f10"}, "last": b"z"}
)
THREE = tar_of({"other": os.urandom(50_000), "again": FILES["f29"], "f05": FILES["f05"]})


def allocated(store: Store) -> int:
    return sum(path.stat().st_blocks * 512 for path in (store.root / "devices").iterdir())


def tars_are(store: Store, *tars: bytes) -> None:
    for tar in tars:
        with store.layers.open(Digest.of(tar)) as file:
            assert file.read() == tar
        assert store.blobs.read(Digest.of(tar)) == tar


@contextlib.contextmanager
def mounted(image: Image) -> Iterator[Path]:
    """Mount an image by the kernel's EROFS."""
    with (
        tempfile.TemporaryDirectory() as top,
        by_kernel(erofs.Image(image.metadata, image.devices), Path(top)) as at,
    ):
        yield at


def test_what_two_layers_share_is_kept_once(store: Store) -> None:
    images = [put_image(store, [ONE]), put_image(store, [TWO]), put_image(store, [THREE, ONE])]
    before = allocated(store)
    seen: list[tuple[str, int, int]] = []
    done = store.dedup(progress=lambda *step: seen.append(step))
    assert set(done.layers) <= {Digest.of(tar).hex for tar in (ONE, TWO, THREE)}
    assert len(done.layers) == 2
    assert done.freed == before - allocated(store) > 0.8 * sum(map(len, FILES.values()))
    assert [number for _, number, total in seen] == [1, 2, 3]
    tars_are(store, ONE, TWO, THREE)
    assert store.check(full=False) == store.check(full=True) == []
    assert all(
        len(image.devices) > len(image.diff_ids) for image in images if Digest.of(TWO) in image.diff_ids
    )
    again = store.dedup()
    assert (again.layers, again.freed) == ((), 0)


def test_blobs_come_out_as_before(store: Store) -> None:
    for tar in (ONE, TWO):
        put_layer(store, gzipped(tar), keep_blob=False)
    before = [store.layers.blob(Digest.of(tar), media.OCI_LAYER_ZSTD) for tar in (ONE, TWO)]
    store.collect()
    for tar in (ONE, TWO):
        put_layer(store, gzipped(tar), keep_blob=False)
    assert len(store.dedup().layers) == 1
    assert [store.layers.blob(Digest.of(tar), media.OCI_LAYER_ZSTD) for tar in (ONE, TWO)] == before


def test_the_source_of_moved_data_stays_when_its_image_goes(store: Store) -> None:
    one, two = put_image(store, [ONE]), put_image(store, [TWO])
    store.dedup()
    for gone, kept, tar in ((one, two, TWO), (two, one, ONE)):
        if store.layers.info(kept.diff_ids[0]) and moves.read(store.root / "layers" / kept.diff_ids[0].hex):
            store.images.remove(gone.id)
            store.collect()
            tars_are(store, tar)
            assert len(store.layers.list()) == 2
            assert store.check(full=True) == []
            store.images.remove(kept.id)
            store.collect()
            assert store.layers.list() == []
            return
    raise AssertionError("nothing was moved")


def test_layers_in_use_are_left_as_they_are(store: Store) -> None:
    image, _ = put_image(store, [ONE]), put_image(store, [TWO])
    with store.lease("mount"):
        used = store.images.get(image.id)
        tar = used.devices[0].read_bytes()
        inode = used.devices[0].stat().st_ino
        store.dedup()
        assert used.devices[0].stat().st_ino == inode
        assert used.devices[0].read_bytes() == tar
    assert store.check(full=True) == []


def test_a_later_layer_joins_in(store: Store) -> None:
    put_image(store, [ONE]), put_image(store, [TWO])
    store.dedup()
    four = tar_of({"first": b"1" * 9000, **FILES})
    put_image(store, [four])
    assert store.dedup().layers == (Digest.of(four).hex,)
    tars_are(store, ONE, TWO, four)
    assert store.check(full=True) == []


def test_the_same_bytes_with_the_same_hash_only_in_part_are_not_moved(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import xxhash

    a, b = tar_of({"f": b"a" * 50_000}), tar_of({"f": b"b" * 50_000})
    put_image(store, [a]), put_image(store, [b])
    monkeypatch.setattr(xxhash, "xxh3_128_digest", lambda _data: b"all alike")
    assert store.dedup().layers == ()
    monkeypatch.undo()
    tars_are(store, a, b)


def test_a_dedup_that_is_killed_anywhere_leaves_a_good_store(session_top: Path) -> None:
    with tempfile.TemporaryDirectory(dir=session_top) as top:
        for number in instants(300):
            store = Store.open(Path(top) / str(number))
            put_image(store, [ONE]), put_image(store, [THREE, TWO])
            finished = die_at(number, partial(store.dedup))
            assert damage(store.check(full=True)) == []
            tars_are(store, ONE, TWO, THREE)
            store.dedup()
            store.collect()
            assert store.check(full=True) == []
            assert allocated(store) < len(ONE) * 1.3
            if finished:
                assert number > 10
                return
    raise AssertionError("it never finished")


@pytest.mark.root
def test_the_tree_is_the_same_before_and_after(store: Store) -> None:
    tiny = put_sample(store, sample("tiny"))
    odd = io.BytesIO()  # the same files once more, in another order
    with (
        tarfile.open(fileobj=io.BytesIO(tiny.devices[0].read_bytes())) as old,
        tarfile.open(fileobj=odd, mode="w") as new,
    ):
        members = [member for member in old if member.isfile() and member.size]
        for member in reversed(members):
            new.addfile(member, old.extractfile(member))
    other = put_image(store, [odd.getvalue()])
    before = []
    for image in (tiny, other):
        with mounted(image) as top:
            before.append(dump(top))
    assert store.dedup().freed > 0
    for image, expected in zip((tiny, other), before, strict=True):
        with mounted(image) as top:
            assert dump(top) == expected
    assert store.check(full=True) == []


RANGES = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 200), st.integers(0, 300)), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(RANGES, st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 700)), max_size=20))
def test_a_tar_is_put_together_from_its_parts(
    tmp_path: Path, ranges: list[tuple[int, int, int]], reads: list[tuple[int, int]]
) -> None:
    source, whole = random.Random(1).randbytes(1000), bytearray(random.Random(2).randbytes(2500))
    holed, found, at = bytearray(whole), [], 0
    for gap, size, place in ranges:
        offset = at + gap
        if offset + size > len(whole):
            break
        whole[offset : offset + size] = source[place : place + size]
        holed[offset : offset + size] = bytes(size)
        found.append(Move(offset, size, place, "s" * 64))
        at = offset + size
    layer = tmp_path / ("l" * 64)
    layer.mkdir(exist_ok=True)
    (tmp_path / layer.name / moves.NAME).write_bytes(moves.dump(found))
    (tmp_path / "devices").mkdir(exist_ok=True)
    (tmp_path / "devices" / layer.name).write_bytes(holed)
    (tmp_path / "devices" / ("s" * 64)).write_bytes(source)
    with open_tar(tmp_path / "devices", layer) as file:
        assert file.read() == whole
        for offset, size in reads:
            file.seek(offset)
            assert file.read(size) == whole[offset : offset + size]
        assert file.seek(-1, io.SEEK_END) == len(whole) - 1
    assert moves.read(layer) == found
