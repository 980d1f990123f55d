"""An image is the same tree through the driver and through the kernel's EROFS."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.erofs import images
from tests.support.dump import FIELDS, assert_same, dump

pytestmark = [pytest.mark.root, pytest.mark.requires("driver", "fuse", "erofs")]

FORMS = {
    "plain": (),
    "compact": ("-Eforce-inode-compact", "-T1234567890", "--all-root"),
    "extended": ("-Eforce-inode-extended",),
    "no-inline": ("-Enoinline_data",),
    "no-xattrs": ("-x-1",),
    "shared-xattrs": ("-x1",),
    "inline-xattrs": ("-x100000",),
    "block-map": ("--chunksize=4096", "-Eforce-inode-blockmap"),
    "chunk-indexes": ("--chunksize=4096", "-Eforce-chunk-indexes"),
    "large-chunks": ("--chunksize=262144",),
    "external": ("--chunksize=4096",),
    "external-large": ("--chunksize=65536", "-Eforce-inode-extended"),
}


@pytest.mark.parametrize("form", FORMS)
def test_same_tree_as_by_the_kernel(tmp_path: Path, form: str) -> None:
    external = form.startswith("external")
    image = images.make(tmp_path / "made", images.everything(), *FORMS[form], external=external)
    with (
        images.by_driver(image, tmp_path / "ours") as ours,
        images.by_kernel(image, tmp_path / "k") as kernel,
    ):
        assert_same(dump(ours, fields=FIELDS), dump(kernel, fields=FIELDS))
        assert images.numbers(ours) == images.numbers(kernel)
        for name in ("holes", "hole", "sizes/100001"):
            assert _data(ours / name) == _data(kernel / name)


def _data(path: Path) -> list[tuple[int, int]]:
    """Where lseek finds data that is not zeros: a file system may call any zeros a hole."""
    text = path.read_bytes()
    return [(a, b) for a, b in images.seeks(path) if text[a:b].strip(b"\0")]


@pytest.mark.parametrize("engine", ["native", "pyfuse3"])
def test_reads_at_any_offset(tmp_path: Path, engine: str) -> None:
    spec = images.everything()
    image = images.make(tmp_path / "made", spec, "--chunksize=4096", external=True)
    pick = random.Random(7)
    with images.by_driver(image, tmp_path / "ours", f"engine={engine}") as ours:
        for name in ("holes", "sizes/100001", "sizes/4097", "sizes/0"):
            want = (tmp_path / "made/source" / name).read_bytes()
            with (ours / name).open("rb", buffering=0) as stream:
                for _ in range(50):
                    at, length = pick.randrange(len(want) + 10), pick.choice((1, 100, 5000, 200_000))
                    stream.seek(at)
                    assert stream.read(length) == want[at : at + length]
