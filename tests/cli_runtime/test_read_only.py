"""A store on a read-only file system can be looked at, and is refused to who would change it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.cli_runtime.conftest import Lamina

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a read-only file system")


@pytest.fixture
def frozen(loaded: Lamina) -> Iterator[Lamina]:
    """A store with images that nobody can write to."""
    store = loaded.root / "store"
    subprocess.run(["mount", "--bind", store, store], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", store], check=True)
        yield loaded
    finally:
        subprocess.run(["umount", "-l", store], check=True)


def test_is_listed_and_inspected(frozen: Lamina) -> None:
    ids = frozen.ok("images", "-q", "--no-trunc").split()
    assert ids
    for image in ids:
        assert frozen.ok("inspect", "--format", "{{.Id}}", image).strip() == image
        assert frozen.ok("history", "-q", image)


def test_its_scrub_finds_nothing(frozen: Lamina) -> None:
    frozen.ok("store", "check", "--full")


@pytest.mark.parametrize("words", [("tag", "ID", "other:1"), ("rmi", "-f", "ID"), ("image", "prune", "-af")])
def test_is_not_changed(frozen: Lamina, words: tuple[str, ...]) -> None:
    before = frozen.contents()
    image = frozen.ok("images", "-q").split()[0]
    frozen.refused(*(image if word == "ID" else word for word in words), named="Read-only file system")
    assert frozen.contents() == before
