"""Images under an upper: the union is the kernel's, and either driver takes over the other's upper."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import lamina_unionfs
import pytest
from lamina_unionfs import MountError

from tests.erofs import images
from tests.support.dump import assert_same, dump
from tests.support.tree import Spec, file, hardlink, opaque, redirect, whiteout

pytestmark = [pytest.mark.root, pytest.mark.requires("driver", "fuse", "erofs", "overlayfs")]

BASE: Spec = {
    "kept/a": "a",
    "kept/b": "b",
    "hidden/x": "below",
    "old/deep/file": "moved",
    "gone": "gone",
    "one": file("linked", mode=0o640, uid=70_000),
    "two": hardlink("one"),
    "big": file(b"0123456789abcdef" * 20_000),
}
FORMER_UPPER: Spec = {
    "hidden/": opaque(),
    "hidden/y": "above",
    "gone": whiteout(),
    "kept/b": whiteout(),
    "old": whiteout(),
    "new/": redirect("/old"),
}


@contextlib.contextmanager
def union(top: Path, *lowers: images.Image, upper: bool = True) -> Iterator[Path]:
    """Mount images under an upper that stays from one call to the next."""
    for name in ("up", "work", "merged"):
        (top / name).mkdir(exist_ok=True)
    options = [word for image in lowers for word in image.options]
    pair = {"upper": top / "up", "work": top / "work"} if upper else {}
    lower = [image.path for image in lowers]
    with lamina_unionfs.mount(lower=lower, at=top / "merged", options=options, **pair):
        yield top / "merged"


@contextlib.contextmanager
def kernel_union(top: Path, *lowers: images.Image, upper: bool = True) -> Iterator[Path]:
    """The same by kernel overlayfs over the kernel's EROFS."""
    (top / "merged").mkdir(exist_ok=True)
    with contextlib.ExitStack() as undo:
        mounts = [
            undo.enter_context(images.by_kernel(image, top / f"erofs{number}"))
            for number, image in enumerate(lowers)
        ]
        words = "redirect_dir=on,metacopy=on,index=on,lowerdir=" + ":".join(map(str, mounts))
        if upper:
            words += f",upperdir={top}/up,workdir={top}/work"
        images.run("mount", "-t", "overlay", "overlay", "-o", words, str(top / "merged"))
        undo.callback(images.run, "umount", str(top / "merged"))
        yield top / "merged"


def two_layers(top: Path) -> tuple[images.Image, images.Image]:
    above = images.make(top / "above", FORMER_UPPER, "--chunksize=4096", external=True)
    return above, images.make(top / "base", BASE)


def change(merged: Path) -> None:
    """Copy up by each way: data, metadata, a hard link, a directory's rename, a removal."""
    with (merged / "big").open("r+b") as stream:
        stream.seek(100_000)
        stream.write(b"changed")
    os.chmod(merged / "kept/a", 0o600)
    with (merged / "one").open("a") as stream:
        stream.write(" and more")
    (merged / "new").rename(merged / "newest")
    (merged / "hidden/y").unlink()


def test_a_former_upper_in_an_image_hides_and_moves(tmp_path: Path) -> None:
    stack = two_layers(tmp_path)
    with union(tmp_path, *stack, upper=False) as ours:
        got = dump(ours)
        assert (ours / "new/deep/file").read_text() == "moved"
        assert sorted(os.listdir(ours)) == ["big", "hidden", "kept", "new", "one", "two"]
    with kernel_union(tmp_path, *stack, upper=False) as kernel:
        assert_same(got, dump(kernel))


def test_kernel_takes_over_our_upper(tmp_path: Path) -> None:
    stack = two_layers(tmp_path)
    with union(tmp_path, *stack) as ours:
        change(ours)
        want = dump(ours)
    with kernel_union(tmp_path, *stack) as kernel:
        assert_same(dump(kernel), want)
    with union(tmp_path, *stack) as ours:
        assert_same(dump(ours), want)


def test_we_take_over_the_kernels_upper(tmp_path: Path) -> None:
    stack = two_layers(tmp_path)
    (tmp_path / "up").mkdir()
    (tmp_path / "work").mkdir()
    with kernel_union(tmp_path, *stack) as kernel:
        change(kernel)
        want = dump(kernel)
    with union(tmp_path, *stack) as ours:
        assert_same(dump(ours), want)


def test_origins_are_the_kernels_byte_for_byte(tmp_path: Path) -> None:
    image = images.make(tmp_path / "base", BASE)
    found = []
    for number, way in enumerate((union, kernel_union)):
        top = tmp_path / str(number)
        for name in ("", "up", "work"):
            (top / name).mkdir(exist_ok=True)
        with way(top, image) as merged:
            os.chmod(merged / "kept/a", 0o600)
        names = ("kept", "kept/a")
        found.append([os.getxattr(top / "up" / name, "trusted.overlay.origin") for name in names])
    assert found[0] == found[1]


def test_inode_numbers_stay_over_copy_up_and_remount(tmp_path: Path) -> None:
    stack = two_layers(tmp_path)
    with union(tmp_path, *stack) as ours:
        before = {name: os.lstat(ours / name).st_ino for name in ("big", "one", "two", "kept/a", "kept")}
        change(ours)
        assert {name: os.lstat(ours / name).st_ino for name in before} == before
    with union(tmp_path, *stack) as ours:
        assert {name: os.lstat(ours / name).st_ino for name in before} == before
        assert before["one"] == before["two"]


def test_owners_are_shown_as_asked(tmp_path: Path) -> None:
    image = images.make(tmp_path / "base", BASE)
    with images.by_driver(image, tmp_path / "m", "squash_to_uid=7,squash_to_gid=8") as ours:
        assert (os.stat(ours / "one").st_uid, os.stat(ours / "one").st_gid) == (7, 8)
    with images.by_driver(image, tmp_path / "m", "uidmapping=70000:5:10") as ours:
        assert os.stat(ours / "one").st_uid == 5


def test_programs_run_from_an_image(tmp_path: Path) -> None:
    program = Path("/bin/true").resolve().read_bytes()
    image = images.make(tmp_path / "base", {"true": file(program, mode=0o755)}, "--chunksize=4096")
    with images.by_driver(image, tmp_path / "m") as ours:
        assert subprocess.run([ours / "true"], timeout=20, check=False).returncode == 0


def test_a_device_that_lost_its_end_answers_eio(tmp_path: Path) -> None:
    image = images.make(tmp_path / "base", BASE, "--chunksize=4096", external=True)
    with images.by_driver(image, tmp_path / "m") as ours:
        os.truncate(image.devices[0], 0)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            (ours / "big").read_bytes()
        assert (ours / "kept").is_dir()


def test_a_truncated_image_answers_eio_and_unmounts(tmp_path: Path) -> None:
    image = images.make(tmp_path / "base", images.everything())
    with images.by_driver(image, tmp_path / "m") as ours:
        os.truncate(image.path, 4096)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            os.listdir(ours / "many")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "needs 1 data devices: device= or devicedir= is missing"),
        (("device=/nonexistent",), "/nonexistent: data device cannot be opened: No such file"),
        (("device=/etc",), "/etc: data device is no regular file"),
        (("devicedir=/etc",), "data device has no usable name in the image"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(tmp_path: Path, options: tuple[str, ...], reason: str) -> None:
    image = images.make(tmp_path / "base", BASE, "--chunksize=4096", external=True)
    (tmp_path / "m").mkdir()
    with pytest.raises(MountError, match=reason) as caught:
        lamina_unionfs.mount(lower=[image.path], at=tmp_path / "m", options=options)
    assert "\n" not in str(caught.value)


def test_compressed_images_are_refused_by_name(tmp_path: Path) -> None:
    image = images.make(tmp_path / "base", BASE, "-zlz4hc")
    (tmp_path / "m").mkdir()
    with pytest.raises(MountError, match="is compressed, which is not supported"):
        lamina_unionfs.mount(lower=[image.path], at=tmp_path / "m")
