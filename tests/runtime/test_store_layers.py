"""Layers: any compression in, one tar, verified, resumable; blobs out, the same each time."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lamina_runtime.errors import IntegrityError, LaminaError, NotFoundError
from lamina_runtime.layer import decompress
from lamina_runtime.layer.errors import LayerError, TooLargeError
from lamina_runtime.layer.limits import Limits
from lamina_runtime.oci import media
from lamina_runtime.oci.digest import Digest
from lamina_runtime.store import Store

from tests.runtime.stores import described, files_of, gzipped, put_layer, tar_of

TAR = tar_of({"a": b"text " * 40_000, "b": os.urandom(300_000), "c": bytes(700_000), "d": b"end"})
COMPRESS = {"gzip": gzip.compress, "zstd": zstd.compress, "xz": lzma.compress, "bzip2": bz2.compress}
SKIPPABLE = struct.pack("<II", 0x184D2A5F, 5) + b"x" * 5


def pigz_like(data: bytes) -> bytes:
    return b"".join(gzip.compress(data[at : at + 50_000]) for at in range(0, len(data), 50_000))


FORMS = {
    "none": TAR,
    "gzip": gzipped(TAR),
    "gzip of many members": pigz_like(TAR),
    "gzip with an empty member": gzip.compress(b"") + gzipped(TAR) + gzip.compress(b""),
    "gzip and zeros": gzipped(TAR) + bytes(1000),
    "gzip and something": gzipped(TAR) + b"\x1eanything else",
    "zstd": zstd.compress(TAR),
    "zstd of many frames": b"".join(
        zstd.compress(TAR[at : at + 99_999]) for at in range(0, len(TAR), 99_999)
    ),
    "zstd with skippable frames": SKIPPABLE
    + zstd.compress(TAR[:7])
    + SKIPPABLE
    + zstd.compress(TAR[7:])
    + SKIPPABLE,
    "xz": lzma.compress(TAR, preset=0),
    "xz of two streams": lzma.compress(TAR[:9], preset=0) + bytes(8) + lzma.compress(TAR[9:], preset=0),
    "bzip2": bz2.compress(TAR, 1),
    "bzip2 of two streams": bz2.compress(TAR[:9], 1) + bz2.compress(TAR[9:], 1),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("step", [1_000, 1 << 20])
def test_a_layer_is_its_tar_however_it_comes(store: Store, form: str, step: int) -> None:
    blob = FORMS[form]
    info = put_layer(store, blob, diff_id=Digest.of(TAR), step=step)
    assert (info.diff_id, info.size, info.entries) == (Digest.of(TAR), len(TAR), 4)
    assert info.file_size == 200_000 + 300_000 + 700_000 + 3
    assert store.layers.tar(info.diff_id).read_bytes() == TAR
    with store.layers.open(info.diff_id) as file:
        assert file.read() == TAR
    assert store.blobs.read(Digest.of(blob)) == blob
    assert store.layers.index(info.diff_id).stat().st_size > 72
    assert store.layers.list() == [info.diff_id]
    assert os.listdir(store.root / "temporary") == []
    assert store.check(full=True) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_known_by_what_it_is_not_by_what_it_is_called(store: Store, form: str) -> None:
    info = put_layer(store, FORMS[form], media_type=media.DOCKER_LAYER_GZIP)
    kind = form.split(" ", maxsplit=1)[0]
    assert [media.compression(found.descriptor.media_type) for found in info.blobs] == [kind] * (
        kind != "none"
    )


@pytest.mark.parametrize("form", [name for name in FORMS if name != "none"])
@pytest.mark.parametrize("cut", [0.1, 0.5, 0.999])
def test_a_stream_that_is_cut_off_is_refused(store: Store, form: str, cut: float) -> None:
    if form.startswith("gzip and "):
        return  # what is cut off is only what follows
    with pytest.raises(LaminaError):
        put_layer(store, FORMS[form][: int(len(FORMS[form]) * cut)])
    assert files_of(store) == set()


@pytest.mark.parametrize("form", ["gzip", "zstd", "xz", "bzip2"])
def test_a_damaged_stream_is_refused(store: Store, form: str) -> None:
    blob = bytearray(FORMS[form])
    blob[len(blob) // 2] ^= 0x55
    with pytest.raises(IntegrityError):
        put_layer(store, bytes(blob), diff_id=Digest.of(TAR))
    assert files_of(store) == set()


@pytest.mark.parametrize("form", ["zstd", "xz", "bzip2"])
def test_what_follows_a_stream_must_be_zeros(store: Store, form: str) -> None:
    put_layer(store, FORMS[form] + bytes(512))
    with pytest.raises(IntegrityError, match="follows"):
        put_layer(store, FORMS[form] + b"something")


def test_another_content_than_the_configuration_says_is_refused(store: Store) -> None:
    with pytest.raises(IntegrityError, match="diffID"):
        put_layer(store, gzipped(TAR), diff_id=Digest.of(b"another"))
    assert files_of(store) == set()


@pytest.mark.parametrize("sent", [gzipped(TAR)[:-9], gzipped(TAR) + b"x", gzipped(TAR[:512])])
def test_another_blob_than_described_is_refused(store: Store, sent: bytes) -> None:
    with (
        pytest.raises(IntegrityError),
        store.layers.writer(described(gzipped(TAR)), diff_id=None) as writer,
    ):
        writer.write(sent)
        writer.commit()
    assert files_of(store) == set()


@pytest.mark.parametrize("tar", [b"no tar" * 1000, TAR[:700], b"\0" * 100])
def test_what_is_no_tar_is_refused_in_one_line(store: Store, tar: bytes) -> None:
    with pytest.raises(LayerError) as caught:
        put_layer(store, gzipped(tar))
    assert "\n" not in str(caught.value)
    assert files_of(store) == set()


def test_bombs_are_refused_early_and_in_bounded_memory(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", limits=Limits(tar_size=1 << 40, ratio=250, free_size=1 << 22))
    bomb = zstd.compress(tar_of({"zeros": bytes(200 << 20)}))
    assert len(bomb) < 40_000
    with pytest.raises(TooLargeError, match="larger than is allowed"):
        put_layer(store, bomb)
    assert files_of(store) == set()


def test_a_size_limit_is_for_all_forms(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store", limits=Limits(tar_size=1 << 20, free_size=1 << 30))
    for blob in (TAR, gzipped(TAR)):
        with pytest.raises(TooLargeError):
            put_layer(store, blob)


@pytest.mark.parametrize("form", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("keep_blob", [True, False])
def test_a_transfer_goes_on_where_it_broke_off(store: Store, form: str, keep_blob: bool) -> None:
    blob = FORMS[form]
    half = len(blob) // 2
    for expected in (0, half):
        with store.layers.writer(described(blob), diff_id=None, keep_blob=keep_blob) as writer:
            assert writer.offset == expected
            writer.write(blob[expected : expected + half])
    with store.layers.writer(described(blob), diff_id=Digest.of(TAR), keep_blob=keep_blob) as writer:
        assert writer.offset == 2 * half
        writer.write(blob[2 * half :])
        info = writer.commit()
    with store.layers.open(info.diff_id) as file:
        assert file.read() == TAR
    assert store.blobs.has(Digest.of(blob)) == (keep_blob or form == "none")
    assert os.listdir(store.root / "temporary") == []


def test_a_transfer_that_has_everything_needs_only_the_commit(store: Store) -> None:
    blob = gzipped(TAR)
    with store.layers.writer(described(blob), diff_id=None) as writer:
        writer.write(blob)
    with store.layers.writer(described(blob), diff_id=None) as writer:
        assert writer.offset == len(blob)
        assert writer.commit().diff_id == Digest.of(TAR)


def test_a_transfer_can_begin_again(store: Store) -> None:
    blob = gzipped(TAR)
    with store.layers.writer(described(blob), diff_id=None) as writer:
        writer.write(b"\x1f\x8bnonsense" * 20)
    with store.layers.writer(described(blob), diff_id=None) as writer:
        writer.restart()
        assert writer.offset == 0
        writer.write(blob)
        writer.commit()
    assert store.blobs.read(Digest.of(blob)) == blob


def test_a_layer_without_a_descriptor_finds_its_own_name(store: Store) -> None:
    for blob, keep in ((gzipped(TAR), True), (zstd.compress(TAR), False), (TAR, True)):
        with store.layers.writer(None, diff_id=None, keep_blob=keep) as writer:
            assert writer.offset == 0
            writer.write(blob)
            assert writer.commit().diff_id == Digest.of(TAR)
        assert store.blobs.has(Digest.of(blob)) == keep
    info = store.layers.info(Digest.of(TAR))
    kinds = sorted(form.descriptor.media_type for form in info.blobs)
    assert kinds == [media.OCI_LAYER_GZIP, media.OCI_LAYER_ZSTD]


@pytest.mark.parametrize(("blob", "diff"), [("sha512", "sha256"), ("sha256", "sha512"), ("sha512", "sha512")])
@pytest.mark.parametrize("form", ["none", "gzip"])
def test_other_digests_than_sha256(store: Store, blob: str, diff: str, form: str) -> None:
    data = FORMS[form]
    diff_id = Digest.of(TAR, diff)
    with store.layers.writer(described(data, algorithm=blob), diff_id=diff_id) as writer:
        writer.write(data)
        assert writer.commit().diff_id == diff_id
    assert store.layers.tar(diff_id).read_bytes() == TAR
    assert store.blobs.read(Digest.of(data, blob)) == data
    assert len(store.layers.tar(diff_id).name) == 64
    assert store.check(full=True) == []


def test_long_runs_of_zeros_are_holes(store: Store) -> None:
    tar = tar_of({"zeros": bytes(50 << 20), "x": b"x"})
    for blob in (gzipped(tar), tar):
        put_layer(store, blob)
        status = store.layers.tar(Digest.of(tar)).stat()
        assert status.st_size == len(tar)
        assert status.st_blocks * 512 < 1 << 20
        with store.layers.open(Digest.of(tar)) as file:
            assert Digest.of(file.read()) == Digest.of(tar)


def test_what_is_missing_is_said(store: Store) -> None:
    diff_id = Digest.of(b"x")
    assert not store.layers.has(diff_id)
    for call in (store.layers.info, store.layers.tar, store.layers.index, store.layers.open):
        with pytest.raises(NotFoundError):
            call(diff_id)
    with pytest.raises(NotFoundError):
        store.layers.blob(diff_id, media.OCI_LAYER_GZIP)


# ---- blobs out ----


def test_a_kept_blob_is_given_back(store: Store) -> None:
    blob = gzipped(TAR)
    put_layer(store, blob)
    got = store.layers.blob(Digest.of(TAR), media.DOCKER_LAYER_GZIP)
    assert (got.media_type, got.digest, got.size) == (media.DOCKER_LAYER_GZIP, Digest.of(blob), len(blob))
    plain = store.layers.blob(Digest.of(TAR), media.OCI_LAYER)
    assert (plain.digest, plain.size) == (Digest.of(TAR), len(TAR))
    assert store.blobs.read(plain.digest) == TAR


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_made_blob_is_the_same_each_time(tmp_path: Path, kind: str) -> None:
    made = []
    for name in ("one", "two"):
        store = Store.open(tmp_path / name)
        put_layer(store, FORMS["xz"], keep_blob=False)
        made.append(store.layers.blob(Digest.of(TAR), media.layer_type(kind)))
        assert store.layers.blob(Digest.of(TAR), media.layer_type(kind)) == made[-1]
        blob = store.blobs.read(made[-1].digest)
        assert Digest.of(blob) == made[-1].digest
        assert (gzip.decompress(blob) if kind == "gzip" else zstd.decompress(blob)) == TAR
        (form,) = [form for form in store.layers.info(Digest.of(TAR)).blobs if form.recipe]
        assert form.recipe.startswith(f"{kind}: ")
        assert store.check(full=True) == []
    assert made[0] == made[1]


def test_gzip_made_here_is_one_member_that_gzip_takes(store: Store, tmp_path: Path) -> None:
    tar = tar_of({"a": os.urandom(1 << 20) + b"text" * 1_000_000, "b": bytes(1 << 20)})
    put_layer(store, tar)
    got = store.layers.blob(Digest.of(tar), media.OCI_LAYER_GZIP)
    blob = store.blobs.read(got.digest, limit=1 << 30)
    engine = zlib.decompressobj(31)
    assert engine.decompress(blob) == tar
    assert engine.eof
    assert engine.unused_data == b""
    assert blob[4:8] == bytes(4)  # no time
    assert subprocess.run(["gzip", "-t"], input=blob, check=False).returncode == 0
    assert len(blob) < len(gzip.compress(tar, 6)) * 1.02


def test_other_compressions_are_not_made(store: Store) -> None:
    put_layer(store, TAR)
    with pytest.raises(LayerError, match="lz4"):
        store.layers.blob(Digest.of(TAR), media.OCI_LAYER + "+lz4")


# ---- streams, without a store ----


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(st.binary(max_size=2000), max_size=6),
    st.sampled_from(["gzip", "zstd", "xz", "bzip2"]),
    st.integers(1, 500),
    st.booleans(),
)
def test_any_parts_in_any_pieces_give_their_content(
    parts: list[bytes], form: str, step: int, skip: bool
) -> None:
    compress = {"gzip": gzip.compress, "zstd": zstd.compress, "xz": lzma.compress, "bzip2": bz2.compress}[
        form
    ]
    between = SKIPPABLE if skip and form == "zstd" else b""
    stream = between.join(compress(part) for part in parts) + between
    engine = decompress.decompressor(form)
    out = b"".join(
        piece for at in range(0, len(stream), step) for piece in engine.feed(stream[at : at + step])
    )
    engine.finish()
    assert out == b"".join(parts)


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["gzip", "zstd", "xz", "bzip2"]), st.integers(1, 300))
def test_no_bytes_crash_a_decompressor(noise: bytes, form: str, step: int) -> None:
    compress = COMPRESS[form]
    head = compress(b"x" * 50)
    stream = head[: step % (len(head) + 1)] + noise
    engine = decompress.decompressor(form)
    try:
        for at in range(0, len(stream), step):
            for piece in engine.feed(stream[at : at + step]):
                assert len(piece) <= decompress.PIECE
        engine.finish()
    except LaminaError as refused:
        assert "\n" not in str(refused)


def test_pieces_are_bounded() -> None:
    for form, compress in COMPRESS.items():
        engine = decompress.decompressor(form)
        sizes = [len(piece) for piece in engine.feed(compress(bytes(20 << 20)))]
        engine.finish()
        assert sum(sizes) == 20 << 20
        assert max(sizes) <= decompress.PIECE


def test_a_made_stream_of_nothing() -> None:
    from lamina_runtime.layer.compress import compress

    assert gzip.decompress(b"".join(compress(io.BytesIO(b""), 0, "gzip"))) == b""
    assert zstd.decompress(b"".join(compress(io.BytesIO(b""), 0, "zstd"))) == b""
