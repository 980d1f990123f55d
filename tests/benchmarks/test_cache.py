"""The cache of `lamina bench` is run from: who else could have made or changed it is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lamina_benchmarks import cache, client

from tests.support import accounts


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache"
    monkeypatch.setenv(cache.VARIABLE, str(path))
    return path


def test_a_place_is_made_that_others_cannot_write(place: Path) -> None:
    before = os.umask(0)
    try:
        found = cache.directory()
    finally:
        os.umask(before)
    assert found == place / "bench"
    assert [path.stat().st_mode & 0o7777 for path in (place, found)] == [0o755, 0o755]
    assert cache.directory() == found


def another(path: Path) -> None:
    path.mkdir()
    os.chown(path, *accounts.ids())


def open_to_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o1777)


def open_to_a_group(path: Path) -> None:
    path.mkdir()
    path.chmod(0o775)


def link(path: Path) -> None:
    real = path.with_name("real")
    real.mkdir()
    path.symlink_to(real)


def file(path: Path) -> None:
    path.write_bytes(b"")


def open_above(path: Path) -> None:
    path.mkdir()
    path.parent.chmod(0o777)


def another_above(path: Path) -> None:
    path.mkdir()
    os.chown(path.parent, *accounts.ids())


def part_of_another(path: Path) -> None:
    path.mkdir()
    (path / "bench").mkdir()
    os.chown(path / "bench", *accounts.ids())


def link_as_part(path: Path) -> None:
    path.mkdir()
    (path / "bench").symlink_to("/etc")


WRONG: dict[Callable[[Path], None], str] = {
    open_to_all: "others may write there",
    open_to_a_group: "others may write there",
    link: "not a directory",
    file: "not a directory",
    open_above: "others may write there",
    link_as_part: "not a directory",
}
WRONG_OF_ROOT: dict[Callable[[Path], None], str] = {
    another: "belongs to",
    another_above: "belongs to",
    part_of_another: "belongs to",
}


@pytest.mark.parametrize("make", WRONG)
def test_a_place_that_others_could_change_is_refused(make: Callable[[Path], None], place: Path) -> None:
    refused(make, place, WRONG[make])


@pytest.mark.root
@pytest.mark.userns
@pytest.mark.parametrize("make", WRONG_OF_ROOT)
def test_a_place_of_another_is_refused(make: Callable[[Path], None], place: Path) -> None:
    refused(make, place, WRONG_OF_ROOT[make])


def refused(make: Callable[[Path], None], place: Path, why: str) -> None:
    make(place)
    with pytest.raises(PermissionError, match=f"{why}.*{cache.VARIABLE}"):
        cache.directory()
    with pytest.raises(PermissionError, match=cache.VARIABLE):
        client.build()


def test_the_lock_follows_no_link(place: Path) -> None:
    kept = place.with_name("kept")
    kept.write_text("kept")
    cache.directory()
    (place / "lock").symlink_to(kept)
    with pytest.raises(OSError, match="lock"), cache.locked():
        pytest.fail("locked a link")
    assert kept.read_text() == "kept"


def test_a_program_that_others_may_write_is_compiled_anew(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = place.with_name("work.c")
    source.write_text("int main(void) { return 0; }\n")
    monkeypatch.setattr(client, "SOURCE", source)
    program = client.build()
    made = program.stat().st_ino
    assert client.build().stat().st_ino == made
    program.chmod(0o777)
    assert client.build().stat().st_ino != made
    assert program.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("output", ["", "1", "1 2", "none", "x 2 3", "-1 2 3", "9" * 6000])
def test_a_program_that_says_something_else_is_one_line(output: str) -> None:
    with pytest.raises(client.FailedError, match=r"sh.*printed no numbers") as raised:
        client.run(["sh", "-c", 'printf %s "$1"', "sh", output])
    assert len(str(raised.value)) < 300
    assert client.run(["sh", "-c", "echo before; echo 1 2 3"]) == client.Spent(1, 2, "before")


@pytest.mark.root
@pytest.mark.userns
def test_a_run_is_refused_in_one_line(place: Path) -> None:
    another(place)
    argv = [sys.executable, "-m", "lamina_benchmarks", "--quick", "--rows", "lookup-1"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"lamina bench: {place}: belongs to user ")
    assert not list(place.iterdir())
