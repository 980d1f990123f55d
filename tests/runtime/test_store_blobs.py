"""Blobs: verified, resumable, there or not there."""

from __future__ import annotations

import os

import pytest
from lamina_runtime.errors import IntegrityError, NotFoundError
from lamina_runtime.oci import media
from lamina_runtime.oci.digest import Digest
from lamina_runtime.store import Store
from lamina_runtime.store.errors import StoreError

from tests.runtime.stores import described, files_of, put_layer, tar_of


def test_what_is_added_is_read_back(store: Store) -> None:
    digest = store.blobs.add(b"some content")
    assert digest == Digest.of(b"some content")
    assert store.blobs.has(digest)
    assert store.blobs.size(digest) == 12
    assert store.blobs.read(digest) == b"some content"
    with store.blobs.open(digest) as file:
        assert file.read() == b"some content"
    assert store.blobs.add(b"some content", expected=digest) == digest
    wide = store.blobs.add(b"x", expected=Digest.of(b"x", "sha512"))
    assert store.blobs.read(wide) == b"x"


def test_what_is_not_there_is_missing(store: Store) -> None:
    digest = Digest.of(b"nothing")
    assert not store.blobs.has(digest)
    for call in (store.blobs.size, store.blobs.read, store.blobs.open):
        with pytest.raises(NotFoundError):
            call(digest)


def test_content_must_be_what_was_expected(store: Store) -> None:
    with pytest.raises(IntegrityError):
        store.blobs.add(b"evil", expected=Digest.of(b"good"))
    assert files_of(store) == set()


def test_a_blob_that_changed_on_the_disk_is_not_read(store: Store) -> None:
    digest = store.blobs.add(b"good")
    (store.root / "blobs/sha256" / digest.hex).write_bytes(b"evil")
    with pytest.raises(IntegrityError):
        store.blobs.read(digest)


def test_reading_is_bounded(store: Store) -> None:
    digest = store.blobs.add(b"x" * 1000)
    with pytest.raises(StoreError, match="999"):
        store.blobs.read(digest, limit=999)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_transfer_goes_on_where_it_broke_off(store: Store, algorithm: str) -> None:
    data = os.urandom(3_000_000)
    wanted = described(data, media.OCI_CONFIG, algorithm)
    with store.blobs.writer(wanted) as writer:
        assert writer.offset == 0
        writer.write(data[:1_234_567])
    assert not store.blobs.has(wanted.digest)
    with store.blobs.writer(wanted) as writer:
        assert writer.offset == 1_234_567
        writer.write(memoryview(data)[writer.offset :])
        assert writer.commit() == wanted.digest
    with store.blobs.open(wanted.digest) as file:
        assert file.read() == data
    assert len(files_of(store)) == 1


def test_an_exception_in_the_middle_keeps_what_arrived(store: Store) -> None:
    wanted = described(b"x" * 100)
    with pytest.raises(ConnectionError), store.blobs.writer(wanted) as writer:
        writer.write(b"x" * 40)
        raise ConnectionError
    with store.blobs.writer(wanted) as writer:
        assert writer.offset == 40


def test_a_transfer_can_begin_again(store: Store) -> None:
    wanted = described(b"good content")
    with store.blobs.writer(wanted) as writer:
        writer.write(b"bad")
        writer.restart()
        assert writer.offset == 0
        writer.write(b"good content")
        writer.commit()
    assert store.blobs.read(wanted.digest) == b"good content"


@pytest.mark.parametrize("sent", [b"good conten", b"evil content", b"good content and more"])
def test_wrong_content_is_refused_and_not_kept(store: Store, sent: bytes) -> None:
    wanted = described(b"good content")
    with pytest.raises(IntegrityError), store.blobs.writer(wanted) as writer:
        writer.write(sent)
        writer.commit()
    assert files_of(store) == set()


def test_a_partial_file_longer_than_the_blob_is_not_believed(store: Store) -> None:
    wanted = described(b"good")
    (store.root / "temporary" / f"partial-sha256-{wanted.digest.hex}").write_bytes(b"too much of it")
    with store.blobs.writer(wanted) as writer:
        assert writer.offset == 0


def test_two_transfers_of_one_blob_do_not_disturb_each_other(store: Store) -> None:
    data = b"shared" * 1000
    wanted = described(data)
    with store.blobs.writer(wanted) as one, store.blobs.writer(wanted) as two:
        one.write(data[:100])
        assert two.offset == 0
        two.write(data)
        assert two.commit() == wanted.digest
        one.write(data[100:])
        assert one.commit() == wanted.digest
    assert store.blobs.read(wanted.digest) == data
    assert len(files_of(store)) == 1


def test_an_uncompressed_layer_is_a_blob_too_and_kept_once(store: Store) -> None:
    tar = tar_of({"a": b"x" * 100_000})
    info = put_layer(store, tar, media_type=media.OCI_LAYER)
    assert info.diff_id == Digest.of(tar)
    assert store.blobs.has(info.diff_id)
    assert store.blobs.size(info.diff_id) == len(tar)
    assert store.blobs.read(info.diff_id) == tar
    assert not any(name.startswith("blobs/") for name in files_of(store))
