"""Files and places whose names are not UTF-8, as any name of Linux may be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli_runtime.conftest import BASE, Lamina
from tests.cli_runtime.test_archives import archive, config
from tests.cli_runtime.test_hostile import manifest

ODD = os.fsdecode(b"a\xff.tar")


@pytest.mark.parametrize("lamina", ["root"], indirect=True)
def test_an_archive_with_an_odd_name_is_read(lamina: Lamina) -> None:
    (lamina.top / ODD).write_bytes(BASE)
    lamina.ok("import", lamina.top / ODD, "one:1")
    archive(lamina.top / ODD, {"l.tar": BASE, "c.json": config(BASE), "manifest.json": manifest("l.tar")})
    lamina.ok("load", "-qi", lamina.top / ODD)
    assert len(lamina.ok("images", "-q").split()) == 2
    assert not list((lamina.root / "store/leases").iterdir())


@pytest.mark.fuse
def test_an_image_is_mounted_at_a_place_with_an_odd_name(loaded: Lamina) -> None:
    place = Path(loaded.top / ODD)
    place.mkdir()
    loaded.give(place)
    loaded.ok("mount", "one", place)
    try:
        assert loaded.ok("mount").count("one:latest") == 1
    finally:
        loaded.ok("unmount", place)
    assert "one" not in loaded.ok("mount")
