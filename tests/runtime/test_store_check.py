"""Every kind of damage is found and named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from lamina_native import image as native
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.reference import Reference
from lamina_runtime.store import Store
from lamina_runtime.store.images import Image

from tests.runtime.stores import gzipped, put_image, tar_of

ONE, TWO = tar_of({"a": os.urandom(9_000_000)}), tar_of({"b": b"b" * 5000})
NAME = Reference.parse("a")


def flip(path: Path, offset: int = 0) -> None:
    """Change one bit, as a disk does: size and times stay."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def blob(store: Store, digest: Digest) -> Path:
    return store.root / "blobs" / digest.algorithm / digest.hex


def device(store: Store, tar: bytes) -> Path:
    return store.root / "devices" / Digest.of(tar).hex


def layer(store: Store, tar: bytes) -> Path:
    return store.root / "layers" / Digest.of(tar).hex


def record(store: Store, image: Image) -> Path:
    return store.root / "images/sha256" / image.id.hex


Damage = Callable[[Store, Image], object]
DAMAGES: dict[str, tuple[str, Damage]] = {
    "a bit of a tar": ("layer-damaged", lambda store, _: flip(device(store, ONE), 8_000_000)),
    "a tar cut off": ("layer-damaged", lambda store, _: os.truncate(device(store, ONE), 5_000_000)),
    "a tar grown": ("layer-damaged", lambda store, _: os.truncate(device(store, TWO), 50_000_000)),
    "a tar lost": ("layer-damaged", lambda store, _: device(store, ONE).unlink()),
    "a bit of the sums": ("layer-damaged", lambda store, _: flip(layer(store, ONE) / "sums", 20)),
    "the head of the sums": ("layer-damaged", lambda store, _: flip(layer(store, ONE) / "sums")),
    "sums cut off": ("layer-damaged", lambda store, _: os.truncate(layer(store, ONE) / "sums", 20)),
    "a layer's record": (
        "layer-damaged",
        lambda store, _: (layer(store, ONE) / "layer.json").write_text("{"),
    ),
    "another layer's record": (
        "layer-damaged",
        lambda store, _: (layer(store, ONE) / "layer.json").write_bytes(
            (layer(store, TWO) / "layer.json").read_bytes()
        ),
    ),
    "a bit of an index": ("index-damaged", lambda store, _: flip(layer(store, ONE) / "index", 80)),
    "another index": (
        "index-damaged",
        lambda store, _: (layer(store, ONE) / "index").write_bytes(
            (layer(store, TWO) / "index").read_bytes()
        ),
    ),
    "a large blob": ("blob-damaged", lambda store, _: flip(blob(store, Digest.of(gzipped(ONE))), 3_000_000)),
    "a configuration": ("blob-damaged", lambda store, image: flip(blob(store, image.id), 5)),
    "a manifest": ("blob-damaged", lambda store, image: flip(blob(store, image.manifests[0].digest), 5)),
    "a configuration lost": ("blob-missing", lambda store, image: blob(store, image.id).unlink()),
    "a manifest lost": ("blob-missing", lambda store, image: blob(store, image.manifests[0].digest).unlink()),
    "an image's record": ("image-damaged", lambda store, image: record(store, image).write_text("[]")),
    "a layer lost": ("layer-missing", lambda store, _: layer(store, TWO).rename(store.root / "temporary/x")),
    "a bit of the metadata": ("metadata-damaged", lambda _, image: flip(image.metadata, 1100)),
    "an image lost": ("reference-dangling", lambda store, image: record(store, image).unlink()),
    "a name": (
        "reference-damaged",
        lambda store, _: next((store.root / "references").iterdir()).write_text("{}"),
    ),
    "a name in another's place": (
        "reference-damaged",
        lambda store, _: next((store.root / "references").iterdir()).rename(
            store.root / "references" / ("0" * 64)
        ),
    ),
    "something else": ("stray", lambda store, _: (store.root / "blobs/sha256/notes.txt").touch()),
}


def test_metadata_is_made_at_its_first_use_if_it_is_not_there(store: Store) -> None:
    image = put_image(store, [ONE, TWO])
    path = store.root / "metadata" / image.metadata.name
    before = path.read_bytes()
    path.unlink()
    assert store.check(full=True) == []
    assert store.collect().layers == ()
    assert not path.exists()
    assert store.images.get(image.id).metadata.read_bytes() == before
    path.unlink()
    assert len(store.images.get(image.id).devices) == 2
    assert store.check(full=True) == []


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("full", [False, True])
def test_damage_is_found_and_named(store: Store, damage: str, full: bool) -> None:
    image = put_image(store, [ONE, TWO])
    store.references.set(NAME, image.id, image.manifest.descriptor)
    assert store.check(full=full) == []
    kind, do = DAMAGES[damage]
    do(store, image)
    problems = store.check(full=full)
    assert kind in {problem.kind for problem in problems}, problems
    for problem in problems:
        assert problem.what
        assert "\n" not in problem.text


def test_only_a_full_check_sees_what_sums_agree_with(store: Store) -> None:
    """Someone who changes a tar and its sums together still cannot make its diffID."""
    from lamina_runtime.layer.sums import Summer

    put_image(store, [ONE])
    flip(device(store, ONE), 5_000_000)
    summer = Summer()
    summer.update(device(store, ONE).read_bytes())
    (layer(store, ONE) / "sums").write_bytes(summer.finish())
    assert store.check(full=False) == []
    assert [(problem.kind, problem.what) for problem in store.check(full=True)] == [
        ("layer-damaged", str(Digest.of(ONE)))
    ]


def test_a_damaged_place_is_named_to_the_piece(store: Store) -> None:
    put_image(store, [ONE])
    flip(device(store, ONE), 8_500_000)
    (problem,) = store.check(full=False)
    assert f"byte {8 << 20}" in problem.text


def test_progress_is_told(store: Store) -> None:
    put_image(store, [ONE, TWO])
    seen: list[tuple[str, int, int]] = []
    store.check(full=False, progress=lambda *step: seen.append(step))
    assert [done for _, done, _ in seen] == list(range(1, len(seen) + 1))
    assert {total for _, _, total in seen} == {len(seen)}


def test_a_check_changes_nothing(store: Store) -> None:
    put_image(store, [ONE, TWO])

    def state() -> list[tuple[str, int, int]]:
        return sorted(
            (str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in store.root.rglob("*")
        )

    before = state()
    store.check(full=True)
    assert state() == before


MOVES = {
    "outside of the tar": native.Move(512, 10_000_000_000, 0, 0),
    "overflowing": native.Move((1 << 64) - 1, 2, 0, 511),
    "to no layer": native.Move(512, 512, 5, 512),
    "to behind a tar": native.Move(512, 512, 1, len(TWO)),
    "between blocks": native.Move(512, 512, 1, 100),
    "a part of a file": native.Move(1024, 512, 1, 512),
}


@pytest.mark.parametrize("move", MOVES)
def test_the_builder_refuses_moves_that_make_no_sense(store: Store, tmp_path: Path, move: str) -> None:
    put_image(store, [ONE, TWO])
    layers = [
        native.Layer(layer(store, ONE) / "index", device(store, ONE), "1", (MOVES[move],)),
        native.Layer(None, device(store, TWO), "2"),
    ]
    with (tmp_path / "out").open("w+b") as out, pytest.raises(OSError, match=r"moved|message"):
        native.build(out.fileno(), layers)
