"""A store that can only be read is of full use to who reads, and is refused to who would change it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.cli_runtime.conftest import Lamina
from tests.support import accounts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a read-only file system")


@dataclass(frozen=True, slots=True)
class Reader(Lamina):
    """Somebody who reads the images of another."""

    @property
    def environment(self) -> dict[str, str]:
        return Lamina.environment.fget(self) | {"XDG_RUNTIME_DIR": str(self.top / "reader")}  # type: ignore[attr-defined]


@pytest.fixture(params=["read-only", "another's"])
def frozen(loaded: Lamina, request: pytest.FixtureRequest) -> Iterator[Lamina]:
    """Who may read a store with images and not write to it."""
    loaded.ok("tag", "two", "second:name")
    if request.param == "another's":
        if loaded.user:
            pytest.skip("nobody is kept from writing to what is the user's own")
        run = loaded.top / "reader"
        run.mkdir(mode=0o700)
        uid, gid = accounts.ids() if not accounts.ensure_user() else pytest.skip("no user")
        os.chown(run, uid, gid)
        loaded.top.chmod(0o755)
        subprocess.run(["chmod", "-R", "a+rX", loaded.root], check=True)
        yield Reader(loaded.top, user=True)
        return
    subprocess.run(["mount", "--bind", loaded.root, loaded.root], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", loaded.root], check=True)
        yield loaded
    finally:
        subprocess.run(["umount", "-l", loaded.root], check=True)


def test_is_listed_and_inspected(frozen: Lamina) -> None:
    ids = set(frozen.ok("images", "-q", "--no-trunc").split())
    assert len(ids) == 2
    for image in ids:
        assert frozen.ok("inspect", "--format", "{{.Id}}", image).strip() == image
        assert frozen.ok("image", "inspect", "--format", "{{.Id}}", image[7:17]).strip() == image
        assert frozen.ok("history", "-q", image)
    assert len(frozen.ok("images", "--tree").splitlines()) == 7
    assert frozen.ok("ps", "-aq") == ""


@pytest.mark.parametrize("way", ["--full", "--quiet"])
def test_its_scrub_finds_nothing(frozen: Lamina, way: str) -> None:
    frozen.ok("store", "check", way)


def test_it_is_measured_and_explained(frozen: Lamina) -> None:
    assert "Images" in frozen.ok("system", "df")
    assert frozen.ok("system", "df", "-v")
    assert "layer 2/2" in frozen.ok("why", "two", "/etc/motd")
    assert "C /etc/motd" in frozen.ok("diff", "one", "two").splitlines()
    frozen.ok("image", "verify", "one", "two")


def test_it_is_saved_and_exported(frozen: Lamina) -> None:
    saved = subprocess.run(frozen.words("save", "two"), capture_output=True, check=True, timeout=60).stdout
    assert b"manifest.json" in saved
    exported = subprocess.run(
        frozen.words("export", "two"), capture_output=True, check=True, timeout=60
    ).stdout
    assert b"other words" in exported


@pytest.mark.fuse
def test_it_is_mounted(frozen: Lamina) -> None:
    place = frozen.top / ("reader" if isinstance(frozen, Reader) else "run") / "place"
    place.mkdir()
    frozen.give(place)
    frozen.ok("mount", "two", place)
    try:
        read = ["cat", str(place / "etc/motd")]
        text = subprocess.run(
            [*(accounts.as_user() if frozen.user else []), *read], capture_output=True, check=True
        )
        assert text.stdout == b"other words\n"
        assert str(place) in frozen.ok("mount")
    finally:
        frozen.ok("unmount", place)


CHANGES = ["tag ID other:1", "rmi -f ID", "image prune -af", "store gc", "store dedup -q"]


@pytest.mark.parametrize("words", CHANGES)
def test_is_not_changed(frozen: Lamina, words: str) -> None:
    before = frozen.contents()
    image = frozen.ok("images", "-q").split()[0]
    reason = "Permission denied" if isinstance(frozen, Reader) else "Read-only file system"
    frozen.refused(*words.replace("ID", image).split(), named=reason)
    assert frozen.contents() == before


def test_nothing_is_collected_while_it_is_read(loaded: Lamina) -> None:
    """Who cannot write a lease down keeps the lock; a collection waits for him."""
    from lamina_runtime.store import Store

    from tests.runtime.interleaving import waits

    (loaded.root / "store" / "leases").chmod(0o500)
    subprocess.run(["mount", "--bind", loaded.root, loaded.root], check=True)
    try:
        owner = Store.open(loaded.root / "store")
        subprocess.run(["mount", "-o", "remount,bind,ro", loaded.root], check=True)
        with Store.open(loaded.root / "store").lease("save"):
            assert waits(owner.root / "lock")
        assert not waits(owner.root / "lock")
    finally:
        subprocess.run(["umount", "-l", loaded.root], check=True)
