"""`flatten`: the merged view stays, and an unprivileged kernel overlayfs shows it too."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lamina_unionfs import check

from tests.cli.conftest import SECONDS, Place, assert_one_line
from tests.support.dump import FIELDS, assert_same, dump

MIB = 1 << 20


def populate(place: Place) -> None:
    """Write two lowers with enough in them to rename and to hide."""
    a, b = place.top / "a", place.top / "b"
    for number in range(40):
        (b / "tree" / "deep" / f"d{number}").mkdir(parents=True)
        (b / "tree" / "deep" / f"d{number}" / "file").write_bytes(os.urandom(20_000))
    (a / "tree").mkdir()
    (a / "tree" / "of a").write_text("of a")
    for name in ("kept", "hidden", "changed"):
        (b / "tree" / name).write_text(name)
    (b / "tree" / "symlink").symlink_to("kept")
    os.mkfifo(b / "tree" / "fifo")
    (b / "large").write_bytes(os.urandom(MIB))
    os.utime(b / "tree", ns=(10**18, 10**18))


def change(merged: Path) -> None:
    """Make redirects, one inside another's directory, metacopies, whiteouts, links to directories."""
    (merged / "tree" / "hidden").unlink()
    (merged / "tree" / "changed").write_text("otherwise")
    (merged / "tree").rename(merged / "renamed")
    (merged / "renamed" / "deep" / "d1").rename(merged / "d1 alone")
    (merged / "renamed" / "deep" / "d2").rename(merged / "renamed" / "d2 beside")
    (merged / "renamed" / "deep" / "d3" / "file").unlink()
    (merged / "large").chmod(0o600)
    (merged / "large").rename(merged / "large elsewhere")
    (merged / "to a directory").symlink_to("renamed/deep")
    (merged / "renamed" / "out of it").symlink_to("/etc")


def shown(place: Place) -> str:
    """Mount, dump, unmount."""
    assert place.run("-o", f"{place.stack},userxattr", str(place.merged)).returncode == 0
    text = dump(place.merged, fields=FIELDS)
    place.unmount()
    return text


def shown_by_kernel(place: Place) -> str:
    """The same by kernel overlayfs as unprivileged users get it."""
    words = f"{place.stack},userxattr,redirect_dir=nofollow,metacopy=off"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", words, str(place.merged)], check=True)
    try:
        return dump(place.merged, fields=FIELDS)
    finally:
        subprocess.run(["umount", str(place.merged)], check=True)


@pytest.fixture
def changed(place: Place) -> str:
    """A stack whose upper is anything but plain; what it shows."""
    populate(place)
    assert place.run("-o", f"{place.stack},userxattr", str(place.merged)).returncode == 0
    change(place.merged)
    place.unmount()
    found = check.survey(str(place.top / "upper"))
    assert found["redirect"]
    assert found["metacopy"]
    return shown(place)


def flatten(place: Place, check_status: Callable[[subprocess.CompletedProcess[str]], None]) -> None:
    check_status(place.run("flatten", "-o", f"{place.stack},userxattr"))


def succeeded(result: subprocess.CompletedProcess[str]) -> None:
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def assert_plain(place: Place, before: str) -> None:
    found = check.survey(str(place.top / "upper"))
    assert not found["redirect"]
    assert not found["metacopy"]
    assert_same(shown(place), before)
    assert_same(shown_by_kernel(place), before)


@pytest.mark.fuse
@pytest.mark.root
def test_flattened_upper_shows_the_same_everywhere(place: Place, changed: str) -> None:
    flatten(place, succeeded)
    assert_plain(place, changed)
    flatten(place, succeeded)
    assert_plain(place, changed)


@pytest.mark.fuse
@pytest.mark.root
@pytest.mark.parametrize("milliseconds", [60, 90, 120, 160, 200])
def test_killed_flatten_is_repeated(place: Place, changed: str, milliseconds: int) -> None:
    command = [place.command, "flatten", "-o", f"{place.stack},userxattr"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    time.sleep(milliseconds / 1000)
    process.send_signal(signal.SIGKILL)
    process.wait(SECONDS)
    assert_same(shown(place), changed)
    flatten(place, succeeded)
    assert_plain(place, changed)


@pytest.mark.fuse
@pytest.mark.root
def test_flatten_loses_no_link_that_only_the_index_joins(place: Place) -> None:
    (place.top / "b" / "links").mkdir()
    (place.top / "b" / "links" / "one").write_text("linked")
    os.link(place.top / "b" / "links" / "one", place.top / "b" / "links" / "two")
    assert place.run("-o", f"{place.stack},userxattr", str(place.merged)).returncode == 0
    (place.merged / "links" / "one").chmod(0o600)
    (place.merged / "links").rename(place.merged / "moved")
    place.unmount()
    before = shown(place)
    assert_one_line(place.run("flatten", "-o", f"{place.stack},userxattr"), "moved/two")
    assert_same(shown(place), before)


def test_flatten_without_an_upper_is_refused(place: Place) -> None:
    result = place.run("flatten", "-o", f"lowerdir={place.top}/a")
    assert_one_line(result, "upperdir", status=2)


@pytest.mark.fuse
@pytest.mark.root
def test_flatten_of_a_mounted_upper_is_refused(place: Place) -> None:
    assert place.run("-o", f"{place.stack},userxattr", str(place.merged)).returncode == 0
    result = place.run("flatten", "-o", f"{place.stack},userxattr")
    place.unmount()
    assert_one_line(result)
