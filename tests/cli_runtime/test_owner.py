"""Root over the store of another: what it would leave is closed to the owner, whose links lead astray."""

from __future__ import annotations

import subprocess

import pytest

from tests.cli_runtime.conftest import BASE, COMMAND, Lamina
from tests.support import mounts

pytestmark = pytest.mark.root

WRITING = [
    "import BASE x:1",
    "tag one x:1",
    "rmi one",
    "image prune -af",
    "store gc",
    "store dedup",
    "load -i LAYOUT",
]


@pytest.fixture
def theirs(loaded: Lamina) -> Lamina:
    """Root, over a store of the user."""
    if not loaded.user:
        pytest.skip("root's own")
    return Lamina(loaded.top, user=False)


def owners(lamina: Lamina) -> set[tuple[str, int]]:
    return {(str(path), path.lstat().st_uid) for path in (lamina.root / "store").rglob("*")}


@pytest.mark.parametrize("words", WRITING)
def test_root_only_reads_what_is_anothers(theirs: Lamina, words: str) -> None:
    (theirs.top / "base.tar").write_bytes(BASE)
    places = {"BASE": theirs.top / "base.tar", "LAYOUT": theirs.top / "layout"}
    before = owners(theirs)
    done = theirs.run(*(places.get(word, word) for word in words.split()))
    if not words.startswith("load"):  # what is there already is not written
        assert done.returncode == 1
        assert f"Permission denied: {theirs.root / 'store'} belongs to uid " in done.stderr
    assert "bug of lamina" not in done.stderr
    assert owners(theirs) == before
    assert len(theirs.ok("images", "-q").split()) == 2
    theirs.ok("store", "check", "-q")


def test_root_makes_no_store_where_another_has_a_directory(theirs: Lamina) -> None:
    root = theirs.top / "other"
    (root / "store").mkdir(parents=True)
    Lamina(theirs.top, user=True).give(root)
    theirs.refused("--root", root, "images", named="belongs to uid")
    assert not list((root / "store").iterdir())


@pytest.mark.parametrize("name", ["", "devices", "images/sha256", "lock", "records.lock"])
def test_links_of_another_lead_nowhere(theirs: Lamina, name: str) -> None:
    victim, away = theirs.root / "store" / name, theirs.top / "away"
    victim.rename(away)
    victim.symlink_to(away)
    Lamina(theirs.top, user=True).give(theirs.root)
    theirs.refused("images", named="a symbolic link")


def test_our_own_link_to_our_store_is_followed(loaded: Lamina) -> None:
    store, away = loaded.root / "store", loaded.top / "away"
    store.rename(away)
    store.symlink_to(away)
    loaded.give(loaded.root)
    assert len(loaded.ok("images", "-q").split()) == 2
    loaded.ok("tag", "one", "other:1")


@pytest.mark.fuse
@pytest.mark.parametrize("lamina", ["root"], indirect=True)
def test_a_file_system_that_has_one_owner_only_is_ours(loaded: Lamina) -> None:
    """As NFS with squashed ids: whatever we make looks as if another had made it."""
    top = loaded.top / "squashed"
    places = [top / name for name in ("upper", "work", "place")]
    for path in places:
        path.mkdir(parents=True)
    upper, work, place = places
    options = f"lowerdir={loaded.root},upperdir={upper},workdir={work},squash_to_uid=4321"
    subprocess.run([COMMAND.with_name("lamina-unionfs"), "-o", options, place], check=True, timeout=60)
    try:
        assert (place / "store").lstat().st_uid == 4321
        loaded.ok("--root", place, "tag", "one", "other:1")
        assert len(loaded.ok("--root", place, "images", "-q").split()) == 3
    finally:
        for entry in mounts.below(top):
            mounts.detach(entry)
