"""The merged image is the tree that GNU tar extracts; layers hide what they should.  The kernel mounts it."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from lamina_native import image

from tests.erofs import images
from tests.image.making import Member, build, scan, tar
from tests.support.dump import FIELDS, assert_same, dump

DIR, LINK, SYMLINK = (
    {"type": kind, "mode": 0o755} for kind in (tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE)
)


def file(data: bytes = b"", **more: Any) -> dict[str, Any]:
    return {"data": data, "mode": 0o644, **more}


def names(top: Path, at: Path, *tars: bytes) -> dict[str, str]:
    """What the kernel shows: paths and the facts of tests.support.dump, without the root."""
    fields = frozenset({"mode", "owner", "size", "nlink", "digest"})
    with images.by_kernel(build(top, *tars), at) as mounted:
        lines = dump(mounted, fields=fields).splitlines()[1:]
    return dict(line.split(" ", 1) for line in lines)


ONE = [
    ("./", {**DIR, "mtime": 7, "mode": 0o750}),
    ("etc/", {**DIR, "uid": 5, "gid": 70000, "mode": 0o1777, "mtime": 1.5}),
    ("etc/passwd", file(b"root" * 300, mtime=1234.000000001, uid=1 << 31)),
    ("etc/suid", file(b"1", mode=0o4755, pax_headers={"SCHILY.xattr.user.a": "b"})),
    ("etc/same", file(b"2", pax_headers={"SCHILY.xattr.user.a": "b", "SCHILY.xattr.trusted.x": "y" * 700})),
    ("empty", file()),
    ("s", {**SYMLINK, "linkname": "../../outside"}),
    ("long", {**SYMLINK, "linkname": "x/" * 1500}),
    ("etc/hard", {**LINK, "linkname": "etc/passwd", "mtime": 1234.000000001, "uid": 1 << 31, "mode": 0o644}),
    ("null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 300, "mode": 0o666}),
    ("loop", {"type": tarfile.BLKTYPE, "devmajor": 7, "devminor": 1, "mode": 0o660}),
    ("fifo", {"type": tarfile.FIFOTYPE, "mode": 0o600}),
    *((f"many/{'n' * (number % 200)}{number}", file(b"%d" % number, mtime=number)) for number in range(500)),
]


@pytest.mark.root
@pytest.mark.requires("erofs")
def test_one_layer_is_what_tar_extracts(tmp_path: Path) -> None:
    members = [*ONE, ONE[1], ("many/", {**DIR, "mtime": 9})]  # times of directories that are full
    data = tar(members)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    command = ["tar", "-xpf", "-", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", str(theirs)]
    subprocess.run(command, input=data, check=True, timeout=60)
    with images.by_kernel(build(tmp_path / "image", data), tmp_path / "ours") as ours:
        assert_same(dump(ours, fields=FIELDS), dump(theirs, fields=FIELDS))


@pytest.mark.root
@pytest.mark.requires("erofs")
@pytest.mark.parametrize("form", ["gnu", "0.0", "0.1", "1.0"])
def test_sparse_files_of_every_form(tmp_path: Path, form: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with (source / "f").open("wb") as stream:
        for place in (0, 40960, 1 << 20, (1 << 34) + 4096):
            stream.seek(place)
            stream.write(b"data" * 1024)
        stream.truncate((1 << 34) + 12345)
    style = ["-H", "gnu"] if form == "gnu" else ["-H", "pax", f"--sparse-version={form}"]
    command = ["tar", "-S", *style, "-cf", "-", "-C", str(source), "f"]
    data = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    built = build(tmp_path / "image", data)
    assert built.path.stat().st_size < 4 << 20
    with images.by_kernel(built, tmp_path / "m") as mounted, (mounted / "f").open("rb") as stream:
        assert (mounted / "f").stat().st_size == (1 << 34) + 12345
        for place in (0, 40960, 1 << 20, (1 << 34) + 4096):
            stream.seek(place)
            assert stream.read(4096) == b"data" * 1024
        for place in (4096, 1 << 30, (1 << 34) + 8192):
            stream.seek(place)
            assert stream.read(4096).strip(b"\0") == b""


LOWER: list[Member] = [
    ("d/", {**DIR, "uid": 3}),
    ("d/a", file(b"a")),
    ("d/b", file(b"b")),
    ("d/sub/x", file(b"x")),
    ("f", file(b"f")),
    ("link", {**SYMLINK, "linkname": "d"}),
]

STACKS: dict[str, tuple[list[Member], set[str]]] = {
    "whiteout": ([("d/.wh.a", file())], {"/d", "/d/b", "/d/sub", "/d/sub/x", "/f", "/link"}),
    "whiteout of a directory": ([(".wh.d", file())], {"/f", "/link"}),
    "whiteout spares its own layer": (
        [("d/a", file(b"new")), ("d/.wh.a", file())],
        {"/d", "/d/a", "/d/b", "/d/sub", "/d/sub/x", "/f", "/link"},
    ),
    "opaque last": ([("d/n", file()), ("d/.wh..wh..opq", file())], {"/d", "/d/n", "/f", "/link"}),
    "opaque root": ([(".wh..wh..opq", file()), ("n", file())], {"/n"}),
    "file over directory": ([("d", file(b"!"))], {"/d", "/f", "/link"}),
    "directory over file": ([("f/", DIR)], {"/d", "/d/a", "/d/b", "/d/sub", "/d/sub/x", "/f", "/link"}),
    "a lower link is no way": (
        [("link/n", file())],
        {"/d", "/d/a", "/d/b", "/d/sub", "/d/sub/x", "/f", "/link", "/link/n"},
    ),
    "a link of the layer is": (
        [("own", {**SYMLINK, "linkname": "/../d"}), ("own/n", file())],
        {"/d", "/d/a", "/d/b", "/d/n", "/d/sub", "/d/sub/x", "/f", "/link", "/own"},
    ),
}


@pytest.mark.root
@pytest.mark.requires("erofs")
@pytest.mark.parametrize("case", STACKS)
def test_what_a_layer_hides(tmp_path: Path, case: str) -> None:
    upper, expected = STACKS[case]
    assert set(names(tmp_path / "i", tmp_path / "m", tar(LOWER), tar(upper))) == expected


@pytest.mark.root
@pytest.mark.requires("erofs")
def test_links_and_attributes_across_layers(tmp_path: Path) -> None:
    upper: list[Member] = [
        ("d/", {**DIR, "uid": 9, "mode": 0o700}),
        ("h", {**LINK, "linkname": "link/a", "mode": 0o600}),
    ]
    found = names(tmp_path / "i", tmp_path / "m", tar(LOWER), tar(upper))
    assert found["/d"].startswith("dir 0700 9:0")
    assert found["/h"] == found["/d/a"]
    assert found["/h"].startswith("file 0600 0:0 1 2 ")


def test_same_layers_same_bytes(tmp_path: Path) -> None:
    first, second = (build(tmp_path / name, tar(ONE), tar(LOWER)) for name in "ab")
    assert first.path.read_bytes() == second.path.read_bytes()
    other = build(tmp_path / "c", tar(ONE), tar(LOWER), squash=(5, 6))
    assert first.path.read_bytes() != other.path.read_bytes()


@pytest.mark.parametrize(
    ("members", "word"),
    [
        ([("h", {**LINK, "linkname": "nothing"})], "not there"),
        ([("d/", DIR), ("h", {**LINK, "linkname": "d"})], "directory"),
        ([("f", file()), ("f/x", file())], "not a directory"),
        ([("l", {**SYMLINK, "linkname": "l"}), ("l/x", file())], "symbolic links"),
    ],
)
def test_refusals_name_the_entry(tmp_path: Path, members: list[Member], word: str) -> None:
    with pytest.raises(image.BuildRefused, match=word):
        build(tmp_path / "i", tar(members))


def test_a_damaged_index_is_refused() -> None:
    good = bytearray(scan(tar(ONE)))
    for place in range(0, len(good), 97):
        bad = bytes(good[:place]) + bytes([good[place] ^ 0x10]) + bytes(good[place + 1 :])
        if 16 <= place < 48 or 64 <= place < 72:
            continue  # numbers that are compared with other things
        with pytest.raises(image.IndexDamaged):
            list(image.entries(bad))
