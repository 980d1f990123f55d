"""What a manifest says of layers that are here already is not believed either."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from lamina_runtime.engine.verifying import verify
from lamina_runtime.errors import IntegrityError, LaminaError
from lamina_runtime.oci.config import ImageConfig
from lamina_runtime.oci.manifest import Manifest, parse
from lamina_runtime.oci.platform import Platform
from lamina_runtime.oci.reference import Reference
from lamina_runtime.registry.pull import Pulled, pull
from lamina_runtime.store.store import Store

from tests.registry.harness import failure, options, run
from tests.registry.test_trouble import Liar
from tests.registry.world import AMD64, check_layers
from tests.support.images import LAYER, digest, layer
from tests.support.scripted import serving

TAR = layer({"etc/a": b"a"})
PACKED = gzip.compress(TAR, 6, mtime=0)
NOWHERE = "sha256:" + "0" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


def take(store: Store, liar: Liar, home: Path, *, platform: Platform = AMD64, strict: bool = False) -> Pulled:
    """Pull from a registry that says what a test lets it say."""

    async def work() -> Pulled:
        async with serving(liar) as server:
            reference = Reference.parse(f"{server.host}/a/b:latest")
            return await pull(
                store, reference, platform=platform, strict=strict, options=options(home, parallel=1)
            )

    try:
        return run(work)
    except BaseExceptionGroup as group:
        raise failure(group) from None


def honest(store: Store, home: Path) -> tuple[Liar, dict[str, Any], dict[str, Any]]:
    """Bring the layer in, as a tar and as a gzip; return both descriptors."""
    liar = Liar()
    plain, packed = liar.add(TAR, LAYER), liar.add(PACKED, LAYER + "+gzip")
    for one in (plain, packed):
        liar.top = liar.image([one], [digest(TAR)])
        check_layers(store, take(store, liar, home), [TAR])
    return liar, plain, packed


def contents(store: Store) -> list[str]:
    """Return the names of all blobs and layers."""
    return sorted(
        str(path.relative_to(store.root))
        for path in store.root.rglob("*")
        if path.relative_to(store.root).parts[0] in {"blobs", "layers", "devices", "images", "references"}
    )


@pytest.mark.parametrize("size", [100, len(TAR) + 1, 2**62])
@pytest.mark.parametrize("form", ["plain", "packed"])
def test_a_layer_that_is_here_has_one_size(store: Store, tmp_path: Path, form: str, size: int) -> None:
    liar, plain, packed = honest(store, tmp_path)
    before = contents(store)
    liar.top = liar.image([{"plain": plain, "packed": packed}[form] | {"size": size}], [digest(TAR)])
    with pytest.raises(IntegrityError, match="bytes"):
        take(store, liar, tmp_path)
    assert contents(store) == before


def test_an_unknown_digest_of_a_layer_that_is_here_has_to_be_shown(store: Store, tmp_path: Path) -> None:
    liar, plain, _ = honest(store, tmp_path)
    before = contents(store)
    liar.top = liar.image([plain | {"digest": NOWHERE}], [digest(TAR)])
    with pytest.raises(LaminaError):  # there is none
        take(store, liar, tmp_path)
    liar.blobs[NOWHERE] = TAR
    with pytest.raises(IntegrityError):  # it is another
        take(store, liar, tmp_path)
    other = layer({"etc/b": b"b"})
    liar.top = liar.image([liar.add(other, LAYER)], [digest(TAR)])
    with pytest.raises(IntegrityError):  # it is another layer
        take(store, liar, tmp_path)
    assert contents(store) == before


def test_a_second_form_of_a_layer_is_taken(store: Store, tmp_path: Path) -> None:
    liar, _, _ = honest(store, tmp_path)
    again = gzip.compress(TAR, 1, mtime=7)
    liar.top = liar.image([liar.add(again, LAYER + "+gzip")], [digest(TAR)])
    pulled = take(store, liar, tmp_path)
    check_layers(store, pulled, [TAR])
    verify(store, pulled.image)
    with store.blobs.open(pulled.image.manifest.layers[0].digest) as blob:
        assert blob.read() == again


def test_a_layer_that_comes_twice_is_looked_at_twice(store: Store, tmp_path: Path) -> None:
    liar, plain, packed = honest(store, tmp_path)
    for pair in ([packed | {"size": 100}, packed], [plain | {"digest": NOWHERE}, packed]):
        liar.top = liar.image(pair, [digest(TAR)] * 2)
        with pytest.raises(LaminaError):
            take(store, liar, tmp_path)


@pytest.mark.parametrize("form", ["plain", "packed"])
def test_verify_compares_sizes(store: Store, tmp_path: Path, form: str) -> None:
    """An image that an earlier version took so: made here past all checks."""
    liar, plain, packed = honest(store, tmp_path)
    described = {"plain": plain, "packed": packed}[form]
    for wrong in (described | {"size": 100}, described | {"digest": NOWHERE}):
        manifest = parse(liar.image([wrong], [digest(TAR)]))
        assert isinstance(manifest, Manifest)
        config = ImageConfig.parse(liar.blobs[str(manifest.config.digest)])
        with store.lease("test") as lease:
            image = store.images.add(manifest, config, lease)
        with pytest.raises(IntegrityError):
            verify(store, image)


def test_another_platform_than_was_asked_for_is_refused(store: Store, tmp_path: Path) -> None:
    liar = Liar()
    liar.top = liar.image([liar.add(TAR, LAYER)], [digest(TAR)])
    arm = Platform.parse("linux/arm64")
    with pytest.raises(LaminaError, match="no image for linux/arm64"):
        take(store, liar, tmp_path, platform=arm, strict=True)
    assert not [name for name in contents(store) if name.count("/") > 1]
    check_layers(store, take(store, liar, tmp_path, platform=AMD64, strict=True), [TAR])
    check_layers(store, take(store, liar, tmp_path, platform=arm), [TAR])
