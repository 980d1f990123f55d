"""What a store says of itself, and which stores are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lamina_runtime.store import Store
from lamina_runtime.store.errors import StoreError


def change(store: Store, **fields: Any) -> None:
    path = store.root / "store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_new_store_says_what_it_is(store: Store) -> None:
    assert json.loads((store.root / "store.json").read_text()) == {
        "format": "lamina-store",
        "version": 1,
        "compatible": [],
        "read-only-compatible": [],
        "incompatible": [],
    }
    assert store.root.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"version": 2}, "version 2"),
        ({"version": None}, "version 0"),
        ({"format": "other"}, "this lamina knows version 1"),
        ({"incompatible": ["striped"]}, "striped"),
        ({"read-only-compatible": ["quota"]}, "quota"),
        ({"incompatible": "x"}, "not a list"),
    ],
)
def test_unknown_formats_are_refused_by_name(store: Store, fields: dict[str, Any], why: str) -> None:
    change(store, **fields)
    with pytest.raises(Exception, match=why) as caught:
        Store.open(store.root)
    assert "\n" not in str(caught.value)


def test_compatible_features_are_no_obstacle(store: Store) -> None:
    change(store, compatible=["anything"], incompatible=["moved-data"])
    assert Store.open(store.root).images.list() == []


def test_a_directory_with_other_things_is_not_made_a_store(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(StoreError, match="neither a store nor empty"):
        Store.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_store_is_made_only_if_that_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no image store here"):
        Store.open(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()


def test_a_making_that_was_interrupted_is_gone_on_with(store: Store) -> None:
    (store.root / "store.json").unlink()
    (store.root / "images/sha512").rmdir()
    assert Store.open(store.root).blobs.add(b"x")


def test_a_place_that_cannot_be_written_is_said_in_one_line() -> None:
    with pytest.raises(StoreError, match="/proc/none"):
        Store.open(Path("/proc/none"))
