"""An image of the project's own, over a tar: the same tree by the kernel, by the driver, and as it was."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from lamina_native import image

from tests.erofs import images
from tests.support.dump import FIELDS, assert_same, dump
from tests.support.tree import build

pytestmark = [pytest.mark.root, pytest.mark.requires("driver", "fuse", "erofs")]


def test_driver_and_kernel_show_the_tree_that_was_packed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    build(source, images.everything())
    (source / "socket").unlink()  # tars have none
    tar = tmp_path / "tar"
    argv = [
        "tar",
        "--xattrs",
        "--xattrs-include=*",
        "--format=posix",
        "-C",
        str(source),
        "-cf",
        str(tar),
        ".",
    ]
    subprocess.run(argv, check=True, timeout=images.SECONDS)
    scanner = image.TarScanner()
    scanner.feed(tar.read_bytes())
    (tmp_path / "index").write_bytes(scanner.finish())
    tag = hashlib.sha256(tar.read_bytes()).hexdigest()
    device = tar.rename(tmp_path / tag)
    with (tmp_path / "image").open("w+b") as out:
        image.build(out.fileno(), [image.Layer(tmp_path / "index", device, tag)])
    made = images.Image(tmp_path / "image", (device,))
    by_tag = images.Image(made.path)
    with (
        images.by_driver(by_tag, tmp_path / "ours", f"devicedir={tmp_path}") as ours,
        images.by_kernel(made, tmp_path / "kernel") as kernel,
    ):
        assert_same(dump(ours, fields=FIELDS), dump(kernel, fields=FIELDS))
        assert images.numbers(ours) == images.numbers(kernel)
        assert_same(dump(ours), dump(source))
    assert os.stat(made.path).st_size < 1 << 20  # no contents in it
