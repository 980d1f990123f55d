"""Impossible requests: one line, a status, nothing mounted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Place, assert_one_line
from tests.support import mounts

USAGE = 2


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("{stack},nonsense=1", "nonsense"),
        ("{stack},redirect_dir=perhaps", "redirect_dir"),
        ("{stack},nfs_export=on", "nfs_export"),
        ("", "lowerdir"),
        ("upperdir={top}/upper,lowerdir={top}/a", "workdir"),
    ],
)
def test_senseless_options_are_usage_errors(place: Place, options: str, named: str) -> None:
    result = place.run("-o", options.format(stack=place.stack, top=place.top), str(place.merged))
    assert_one_line(result, named, status=USAGE)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("lowerdir={top}/none", "none"),
        ("lowerdir={top}/a/one", "one"),
        ("lowerdir={top}/a,upperdir={top}/none,workdir={top}/work", "none"),
        ("lowerdir={top}/a,upperdir={top}/upper,workdir={top}/none", "none"),
        ("lowerdir={top}/a,upperdir={top}/upper,workdir={top}/upper/in", "upper/in"),
        ("lowerdir={top}/a,upperdir={top}/a,workdir={top}/work", "same directory"),
        ("lowerdir={top}/a,upperdir={top}/upper,workdir=/proc", "/proc"),
        ("layers={top}/none", "none"),
    ],
)
def test_impossible_stacks_are_failures(place: Place, options: str, named: str) -> None:
    (place.top / "upper" / "in").mkdir()
    result = place.run("-o", options.format(top=place.top), str(place.merged))
    assert_one_line(result, named)


def test_missing_mount_point(place: Place) -> None:
    assert_one_line(place.run("-o", place.stack, f"{place.top}/none"), "none")
    assert_one_line(place.run("-o", place.stack, f"{place.top}/a/one"), "one")


def test_wrong_arguments(place: Place) -> None:
    assert_one_line(place.run(status := "--strange", str(place.merged)), status, status=USAGE)
    assert_one_line(place.run("-o"), "-o", status=USAGE)
    assert_one_line(place.run(), "mount point", status=USAGE)


@pytest.mark.fuse
@pytest.mark.root
def test_upper_in_use(place: Place) -> None:
    other = place.top / "other"
    other.mkdir()
    assert place.run("-o", place.stack, str(place.merged)).returncode == 0
    try:
        assert_one_line(place.run("-o", place.stack, str(other)), "in use")
        assert mounts.at(other) is None
    finally:
        place.unmount()


@pytest.mark.fuse
@pytest.mark.root
def test_no_dev_fuse(place: Place) -> None:
    script = 'mount -t tmpfs tmpfs /dev && exec "$@"'
    result = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", place.command, "-o", place.stack, str(place.merged)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert_one_line(result, "/dev/fuse")


@pytest.mark.root
def test_different_file_systems(place: Place) -> None:
    script = 'mount -t tmpfs tmpfs "$1" && shift && exec "$@"'
    work = place.top / "work"
    result = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-c", script, "sh", str(work)),
            *(place.command, "-o", place.stack, str(place.merged)),
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert_one_line(result, "different file systems")


def test_the_upper_is_untouched_by_a_refusal(place: Place) -> None:
    before = sorted(Path(place.top / "upper").iterdir())
    place.run("-o", place.stack + ",nonsense", str(place.merged))
    assert sorted(Path(place.top / "upper").iterdir()) == before
    assert not any((place.top / "work").iterdir())


def test_a_mount_that_nobody_waits_for_any_more(place: Place) -> None:
    """The launcher was killed while its driver started: no traceback, and no dead mount."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        result = subprocess.run(
            [place.command, "-f", f"--ready-fd={write_end}", "-o", place.stack, str(place.merged)],
            capture_output=True, text=True, timeout=20, check=False, pass_fds=(write_end,),
        )  # fmt: skip
    finally:
        os.close(write_end)
    assert_one_line(result, "nobody waits")
    assert not place.is_mounted()
