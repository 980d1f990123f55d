"""Stacks that cannot work are refused before anything is opened for writing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lamina_unionfs import layers, options
from lamina_unionfs.errors import DriverError, OptionError


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    for name in ("l1", "l2", "u", "w", "u2", "w2"):
        (tmp_path / name).mkdir()
    (tmp_path / "image").touch()
    return tmp_path


def check(top: Path, string: str) -> None:
    layers.check(options.parse([re.sub(r"@", f"{top}/", string)]))


@pytest.mark.parametrize(
    "string",
    [
        "lowerdir=@l1",
        "lowerdir=@l1:@l2,upperdir=@u,workdir=@w",
        "lowerdir=@l1:@l1",
        "lowerdir=@l1,upperdir=@u:@u2,workdir=@w:@w2",
        "upperdir=@u,workdir=@w",
        "lowerdir=@image,upperdir=@u,workdir=@w",
    ],
)
def test_sound_stacks_pass(stack: Path, string: str) -> None:
    check(stack, string)


@pytest.mark.parametrize(
    ("string", "reason"),
    [
        ("", "lowerdir= is missing"),
        ("lowerdir=@l1,upperdir=@u", "workdir= is missing"),
        ("lowerdir=@l1,workdir=@w", "without upperdir"),
        ("lowerdir=@l1,upperdir=@u:@u2,workdir=@w", "2 upper directories, but 1 workdirs"),
    ],
)
def test_incomplete_requests_are_usage_errors(stack: Path, string: str, reason: str) -> None:
    with pytest.raises(OptionError, match=re.escape(reason)):
        check(stack, string)


@pytest.mark.parametrize(
    ("string", "reason"),
    [
        ("lowerdir=@none", "lowerdir .*none: No such file"),
        ("lowerdir=@l1,upperdir=@file,workdir=@w", "upperdir .*file: Not a directory"),
        ("lowerdir=@u/in/file,upperdir=@u,workdir=@w", "lowerdir .*file lies inside upperdir"),
        ("lowerdir=@inner,upperdir=@u,workdir=@w", "lowerdir .*inner lies inside upperdir"),
        ("lowerdir=@l1,upperdir=@none,workdir=@w", "upperdir .*none: No such file"),
        ("lowerdir=@l1,upperdir=@u,workdir=@u", "workdir and upperdir are the same directory"),
        ("lowerdir=@u,upperdir=@u,workdir=@w", "lowerdir and upperdir are the same directory"),
        ("lowerdir=@link,upperdir=@u,workdir=@w", "lowerdir and upperdir are the same directory"),
        ("lowerdir=@l1,upperdir=@u,workdir=@u/in", "workdir .*in lies inside upperdir"),
        ("lowerdir=@l1,upperdir=@w/in,workdir=@w", "upperdir .*in lies inside workdir"),
        ("lowerdir=@u/in,upperdir=@u,workdir=@w", "lowerdir .*in lies inside upperdir"),
        ("lowerdir=@l1,upperdir=@l1/in,workdir=@w", "upperdir .*in lies inside lowerdir"),
        ("lowerdir=@l1,upperdir=@u:@u,workdir=@w:@w2", "upperdir and upperdir are the same"),
    ],
)
def test_overlaps_and_missing_directories_are_named(stack: Path, string: str, reason: str) -> None:
    (stack / "file").touch()
    (stack / "link").symlink_to("u")
    for outer in ("u", "w", "l1"):
        (stack / outer / "in").mkdir()
    (stack / "u/in/file").touch()
    (stack / "inner").symlink_to("u/in/file")
    with pytest.raises(DriverError, match=reason):
        check(stack, string)


def test_layers_file_has_no_limit_and_takes_blanks(stack: Path) -> None:
    (stack / "with blank").mkdir()
    listing = stack / "layers"
    lowers = "".join(f"lower {stack}/l{1 + number % 2}\n" for number in range(600))
    listing.write_text(
        f"# topmost first\n\n{lowers}lower {stack}/with\\ blank\n\tupper {stack}/u {stack}/w\ndevice /t\n"
    )
    lower, upper, work, device = layers.read_file(str(listing))
    assert len(lower) == 601
    assert lower[-1] == f"{stack}/with blank"
    assert (upper, work, device) == ([f"{stack}/u"], [f"{stack}/w"], ["/t"])


@pytest.mark.parametrize("line", ["lower", "upper /u", "middle /x", "lower /a /b"])
def test_layers_file_errors_name_the_line(stack: Path, line: str) -> None:
    listing = stack / "layers"
    listing.write_text(f"lower /l\n{line}\n")
    with pytest.raises(OptionError, match="layers, line 2"):
        layers.read_file(str(listing))


def test_missing_layers_file_is_one_line(stack: Path) -> None:
    with pytest.raises(DriverError, match="No such file"):
        layers.read_file(str(stack / "none"))
