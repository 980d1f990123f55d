"""The command line taken apart."""

from __future__ import annotations

import pytest
from lamina_unionfs import cli
from lamina_unionfs.errors import UsageError


@pytest.mark.parametrize(
    "argv",
    [
        ["-o", "lowerdir=/l", "/mnt"],
        ["-olowerdir=/l", "/mnt"],
        ["overlay", "/mnt", "-o", "lowerdir=/l"],
        ["/mnt", "-o", "lowerdir=/l"],
        ["-o", "lowerdir=/l", "--", "/mnt"],
    ],
)
def test_forms_of_mount_and_fuse_overlayfs(argv: list[str]) -> None:
    got = cli.read_arguments(argv)
    assert got.options == ["lowerdir=/l"]
    assert got.places[-1] == "/mnt"
    assert not got.foreground


def test_debug_stays_in_the_foreground() -> None:
    got = cli.read_arguments(["-d", "-s", "--ready-fd=7", "/mnt"])
    assert got.foreground
    assert got.debug
    assert got.ready_fd == 7


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        ([], "mount point"),
        (["a", "b", "c"], "mount point"),
        (["-o"], "-o needs"),
        (["-x", "/mnt"], "-x"),
        (["--ready-fd=x", "/mnt"], "ready-fd"),
    ],
)
def test_wrong_command_lines(argv: list[str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        cli.read_arguments(argv)
