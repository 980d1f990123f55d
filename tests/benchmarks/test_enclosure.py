"""Where a run takes place: which mounts are given up, who is inside, what dead runs have left."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lamina_benchmarks import bed, enclosure, fixtures, installed, projects
from lamina_benchmarks.mounted import Entry

from tests.support import accounts

DEAD = 1 << 22  # no process has this number


def test_what_leads_to_something_used_is_kept(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    entries = [
        Entry(Path("/"), "overlay"),
        Entry(Path("/usr"), "fuse.sshfs"),
        Entry(Path("/srv/a"), "overlay"),
        Entry(Path("/srv/a/b c"), "fuse"),
        Entry(Path("/srv/disk"), "ext4"),
        Entry(Path("/srv/ntfs"), "fuseblk"),
        Entry(tmp_path / "link", "fuse"),
        Entry(tmp_path / "real", "fuse"),
        Entry(tmp_path / "re", "fuse"),
    ]
    used = [Path("/usr/bin"), tmp_path / "link" / "run.json"]
    given_up = enclosure.unneeded(entries, used)
    assert given_up == [tmp_path / "re", Path("/srv/a/b c"), Path("/srv/a")]


def test_the_variable_alone_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    own, here = os.getpid(), Path("/proc/self/ns/mnt").stat().st_ino
    stray = ("", "root", "user", "user:", f"user:{own}:", f"user:{own}:{here}", f"user:{own + 1}:1")
    for value in (*stray, f"other:{own}:1", "user:x:y", f"user:{own}:x"):
        monkeypatch.setenv(enclosure.INSIDE, value)
        assert not enclosure.inside(), value
        assert enclosure.rootless() == (os.geteuid() != 0)
    monkeypatch.setenv(enclosure.INSIDE, f"user:{own}:1")
    assert enclosure.inside()
    assert enclosure.rootless()


# What a container has: an overlay as root, and other overlays below it.
ROOT_ON_OVERLAY = """
set -e
top=$1; shift
mount -t tmpfs tmpfs "$top"
mkdir "$top/u" "$top/w" "$top/r"
mount -t overlay -o "lowerdir=/,upperdir=$top/u,workdir=$top/w" overlay "$top/r"
for at in /proc /sys /dev /tmp /var/tmp "$KEPT_1" "$KEPT_2"; do
	mkdir -p "$top/r$at"
	mount --rbind "$at" "$top/r$at"
done
mkdir -p "$top/r/stray" "$top/r/old"
mount -t overlay -o "lowerdir=/etc:/usr" overlay "$top/r/stray"
cd "$top/r"
pivot_root . old
cd /
umount -l /old
exec "$@"
"""


@pytest.mark.root
@pytest.mark.fuse
@pytest.mark.requires("driver", "overlayfs")
def test_a_run_on_an_overlay_as_root(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    shell = ["unshare", "--mount", "--propagation=private", "sh", "-c", ROOT_ON_OVERLAY, "sh", str(top)]
    words = ["--quick", "--rows", "lookup-1", "--targets", "lamina", "--samples", "1", "--no-counts"]
    script = (
        f"{sys.executable} -m lamina_benchmarks {' '.join(words)} --json {top}/run.json && cat {top}/run.json"
    )
    kept = {"KEPT_1": str(installed.PACKAGES), "KEPT_2": sys.prefix}
    done = subprocess.run(
        [*shell, "sh", "-c", script],
        capture_output=True, text=True, timeout=100, check=False, env=os.environ | kept,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout[done.stdout.index('{\n "format"') :])
    assert len(document["cells"][0]["values"]) == 1


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bed, "PLACE", tmp_path)
    return tmp_path


def left(place: Path, process: int) -> Path:
    top = place / f"lb-{process}-left"
    (top / "upper").mkdir(parents=True)
    (top / "ext4.img").write_bytes(b"content")
    return top


def test_what_a_dead_run_left_is_removed(place: Path) -> None:
    dead, living, other = left(place, DEAD), left(place, os.getpid()), left(place, DEAD + 1)
    target = place / "target"
    target.mkdir()
    (dead / "link").symlink_to(target)
    (target / "kept").touch()
    (place / f"lb-{DEAD + 2}-link").symlink_to(target)
    (place / f"lb-{DEAD + 3}-file").touch()
    (place / "lb-x-name").mkdir()
    held = os.open(other, os.O_RDONLY | os.O_DIRECTORY)  # as a run in another container does
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with bed.opened() as made:
            assert made.top.name.startswith(f"lb-{os.getpid()}-")
            assert not dead.exists()
            bed.sweep()
            assert made.top.exists()
    finally:
        os.close(held)
    names = {path.name for path in place.iterdir()}
    kept = {living.name, other.name, "target", f"lb-{DEAD + 2}-link", f"lb-{DEAD + 3}-file", "lb-x-name"}
    assert names == kept
    assert (target / "kept").exists()


@pytest.fixture
def mounted_below(place: Path) -> Iterator[Path]:
    top = left(place, DEAD)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(top / "upper")], check=True, timeout=20)
    (top / "upper" / "kept").touch()
    yield top
    subprocess.run(["umount", "-l", str(top / "upper")], check=True, timeout=20)


@pytest.mark.root
def test_what_has_a_mount_below_is_left_alone(mounted_below: Path) -> None:
    bed.sweep()
    assert (mounted_below / "upper" / "kept").exists()
    assert (mounted_below / "ext4.img").exists()


@pytest.mark.root
@pytest.mark.userns
def test_what_others_left_is_left_to_them(place: Path) -> None:
    theirs = left(place, DEAD)
    os.chown(theirs, *accounts.ids())
    bed.sweep()
    assert (theirs / "ext4.img").exists()


def test_git_collects_no_garbage_in_the_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(12):
        (source / f"f{number:02}").write_text(f"{number}\n")
    monkeypatch.setenv("LAMINA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    monkeypatch.setattr(fixtures, "debian", lambda: source)
    found = projects.repository(12)
    trace = (tmp_path / "trace").read_text()
    assert "git gc" in trace
    assert "--auto" not in trace
    argv = ["git", "-C", str(found / "repo"), "diff", "--name-status", "main", "next"]
    changes = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20).stdout.split()
    assert changes.count("D") == 2


def test_a_git_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMINA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GIT_INDEX_FILE", "/dev/null/x")
    source = tmp_path / "source"
    source.mkdir()
    (source / "f").touch()
    monkeypatch.setattr(fixtures, "debian", lambda: source)
    with pytest.raises(bed.UnavailableError, match="git add: fatal"):
        projects.repository(1)
