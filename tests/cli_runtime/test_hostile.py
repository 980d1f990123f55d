"""Hostile and broken archives: one message, and the store as it was."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli_runtime.conftest import BASE, SECOND, Lamina
from tests.cli_runtime.test_archives import archive, config
from tests.support.images import Layout, layer, noise


def manifest(*layers: str, tags: tuple[str, ...] = ("x:1",), name: str = "c.json") -> bytes:
    return json.dumps([{"Config": name, "RepoTags": list(tags), "Layers": list(layers)}]).encode()


def raw_member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, size, link
    return member.tobuf(tarfile.GNU_FORMAT)


def _wrong_diff_id(top: Path) -> Path:
    return archive(
        top / "x.tar", {"l.tar": SECOND, "c.json": config(BASE), "manifest.json": manifest("l.tar")}
    )


def _missing_layer(top: Path) -> Path:
    return archive(top / "x.tar", {"c.json": config(BASE), "manifest.json": manifest("l.tar")})


def _missing_config(top: Path) -> Path:
    return archive(top / "x.tar", {"l.tar": BASE, "manifest.json": manifest("l.tar")})


def _too_few_layers(top: Path) -> Path:
    members = {"l.tar": BASE, "c.json": config(BASE, SECOND), "manifest.json": manifest("l.tar")}
    return archive(top / "x.tar", members)


def _climbing_member(top: Path) -> Path:
    members = {"../evil": b"x", "l.tar": BASE, "c.json": config(BASE), "manifest.json": manifest("l.tar")}
    return archive(top / "x.tar", members)


def _absolute_layer(top: Path) -> Path:
    return archive(top / "x.tar", {"c.json": config(BASE), "manifest.json": manifest("/etc/passwd")})


def _climbing_layer(top: Path) -> Path:
    return archive(top / "x.tar", {"c.json": config(BASE), "manifest.json": manifest("../../etc/passwd")})


def _link_out(top: Path) -> Path:
    members = {"c.json": config(BASE), "manifest.json": manifest("l.tar")}
    return archive(top / "x.tar", members, {"l.tar": "../../../etc/passwd"})


def _absolute_link(top: Path) -> Path:
    members = {"c.json": config(BASE), "manifest.json": manifest("l.tar")}
    return archive(top / "x.tar", members, {"l.tar": "/etc/passwd"})


def _link_circle(top: Path) -> Path:
    members = {"c.json": config(BASE), "manifest.json": manifest("l.tar")}
    return archive(top / "x.tar", members, {"l.tar": "m.tar", "m.tar": "l.tar"})


def _duplicate(top: Path) -> Path:
    path = archive(top / "x.tar", {"l.tar": BASE, "c.json": config(BASE), "manifest.json": manifest("l.tar")})
    with tarfile.open(path, "a") as tar:
        member = tarfile.TarInfo("l.tar")
        member.size = len(SECOND)
        tar.addfile(member, io.BytesIO(SECOND))
    return path


def _truncated(top: Path) -> Path:
    path = archive(top / "x.tar", {"c.json": config(BASE), "manifest.json": manifest("l.tar"), "l.tar": BASE})
    os.truncate(path, path.stat().st_size - len(BASE) // 2 - 10240)
    return path


def _huge_size(top: Path) -> Path:
    path = top / "x.tar"
    header = bytearray(raw_member("l.tar"))
    header[124:136] = b"\x80" + (1 << 62).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(bytes(header) + bytes(2048))
    return path


def _negative_size(top: Path) -> Path:
    path = top / "x.tar"
    header = bytearray(raw_member("l.tar"))
    header[124:136] = b"\xff" * 12
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(bytes(header) + bytes(2048))
    return path


def _bad_checksum(top: Path) -> Path:
    path = archive(top / "x.tar", {"c.json": config(BASE), "manifest.json": manifest("l.tar"), "l.tar": BASE})
    data = bytearray(path.read_bytes())
    data[1024 + 3] ^= 0x55
    path.write_bytes(data)
    return path


def _not_json(top: Path) -> Path:
    return archive(top / "x.tar", {"manifest.json": b"[" * 100_000})


def _manifest_is_no_list(top: Path) -> Path:
    return archive(top / "x.tar", {"manifest.json": b'{"Config": 3}'})


def _bad_tag(top: Path) -> Path:
    members = {"l.tar": BASE, "c.json": config(BASE), "manifest.json": manifest("l.tar", tags=("UP:1",))}
    return archive(top / "x.tar", members)


def _nothing(top: Path) -> Path:
    return archive(top / "x.tar", {"etc/passwd": b"root"})


def _empty(top: Path) -> Path:
    (top / "x.tar").touch()
    return top / "x.tar"


def _noise(top: Path) -> Path:
    (top / "x.tar").write_bytes(bytes(range(256)) * 40)
    return top / "x.tar"


def _cut_gzip(top: Path) -> Path:
    path = archive(top / "plain", {"l.tar": BASE, "c.json": config(BASE), "manifest.json": manifest("l.tar")})
    (top / "x.tar").write_bytes(gzip.compress(path.read_bytes())[:-20])
    return top / "x.tar"


def _ancestors_in_a_circle(top: Path) -> Path:
    members = {
        "a/json": b'{"id":"a","parent":"b"}', "b/json": b'{"id":"b","parent":"a"}', "a/layer.tar": BASE,
        "b/layer.tar": BASE, "repositories": b'{"x":{"1":"a"}}',
    }  # fmt: skip
    return archive(top / "x.tar", members)


def _foreign_layer_inside(top: Path) -> Path:
    members = {
        "l.tar": b"not a tar" * 100,
        "c.json": config(b"not a tar" * 100),
        "manifest.json": manifest("l.tar"),
    }
    return archive(top / "x.tar", members)


CASES: dict[str, Callable[[Path], Path]] = {
    "wrong diffID": _wrong_diff_id,
    "missing layer": _missing_layer,
    "missing configuration": _missing_config,
    "too few layers": _too_few_layers,
    "climbing member": _climbing_member,
    "absolute layer": _absolute_layer,
    "climbing layer": _climbing_layer,
    "link out": _link_out,
    "absolute link": _absolute_link,
    "links in a circle": _link_circle,
    "duplicate": _duplicate,
    "truncated": _truncated,
    "huge size": _huge_size,
    "negative size": _negative_size,
    "bad checksum": _bad_checksum,
    "not JSON": _not_json,
    "manifest is no list": _manifest_is_no_list,
    "bad tag": _bad_tag,
    "no image": _nothing,
    "empty": _empty,
    "noise": _noise,
    "gzip cut off": _cut_gzip,
    "ancestors in a circle": _ancestors_in_a_circle,
    "layer that is no tar": _foreign_layer_inside,
}


@pytest.mark.parametrize("way", ["file", "stdin"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("lamina", ["root"], indirect=True)  # reading does not depend on who reads
def test_hostile_archives_leave_the_store_as_it_was(lamina: Lamina, case: str, way: str) -> None:
    path = CASES[case](lamina.top)
    if way == "file":
        lamina.refused("load", "-qi", path)
    else:
        with path.open("rb") as stream:
            reader, writer = os.pipe()
            if os.fork() == 0:  # a pipe cannot be read at any place
                os.close(reader)
                try:
                    while data := stream.read(4096):
                        os.write(writer, data)
                finally:
                    os._exit(0)
            os.close(writer)
            try:
                lamina.refused("load", "-q", stdin=reader)
            finally:
                os.close(reader)
                os.wait()
    assert lamina.contents() == []
    assert lamina.ok("images", "-q") == ""


@pytest.mark.parametrize("what", ["layer", "config", "manifest"])
@pytest.mark.parametrize("damage", ["altered", "longer", "gone"])
def test_damaged_layouts(lamina: Lamina, layout: Layout, what: str, damage: str) -> None:
    index = json.loads((layout.top / "index.json").read_text())
    entry = index["manifests"][1]
    described = json.loads((layout.top / "blobs" / entry["digest"].replace(":", "/")).read_text())
    found = {"layer": described["layers"][1], "config": described["config"], "manifest": entry}[what]
    path = layout.top / "blobs" / found["digest"].replace(":", "/")
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data + b"\n" if damage == "longer" else bytes((data[0] ^ 1,)) + data[1:])
    lamina.refused("load", "-qi", layout.top)
    assert lamina.contents() == []
    assert not lamina.ok("images", "-q")


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("what", ["index.json", "oci-layout", "blobs", "blobs/sha256", "layer", "config"])
def test_layouts_have_nothing_by_links(lamina: Lamina, layout: Layout, what: str, absolute: bool) -> None:
    entry = json.loads((layout.top / "index.json").read_text())["manifests"][1]
    described = json.loads((layout.top / "blobs" / entry["digest"].replace(":", "/")).read_text())
    blobs = {"layer": described["layers"][1], "config": described["config"]}
    name = "blobs/" + blobs[what]["digest"].replace(":", "/") if what in blobs else what
    outside = lamina.top / "outside"
    (layout.top / name).rename(outside)
    (layout.top / name).symlink_to(
        outside if absolute else os.path.relpath(outside, layout.top / name / "..")
    )
    lamina.refused("load", "-qi", layout.top, named="leads through a symbolic link")
    assert lamina.contents() == []


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../c.json", "sub/../../c.json", "sub", "sub/fifo", "c.json/x", "c\0.json"]
)
def test_layouts_read_nothing_but_their_files(lamina: Lamina, name: str) -> None:
    top = lamina.top / "layout"
    (top / "sub").mkdir(parents=True)
    os.mkfifo(top / "sub" / "fifo")
    for place in (lamina.top, top):
        (place / "c.json").write_bytes(config())
    (top / "manifest.json").write_bytes(manifest(name=name))
    lamina.refused("load", "-qi", top)
    (top / "manifest.json").write_bytes(manifest(name="c.json"))
    assert lamina.ok("load", "-qi", top) == "Loaded image: x:1\n"


JUNK = [
    b"hello\n",
    b"{}" * 400,
    b"\xff" * 5000,
    b"\x80" * 600,
    b"x" * 512,
    bytes(range(256)) * 40,
    b"PK\3\4" * 99,
]


@pytest.mark.parametrize("junk", JUNK)
def test_what_is_no_archive_is_called_so(lamina: Lamina, junk: bytes) -> None:
    path = lamina.top / "junk"
    path.write_bytes(junk)
    path.chmod(0o644)
    told = lamina.refused("load", "-qi", path, named="error: not an image archive\n")
    with path.open("rb") as stream:
        assert lamina.refused("load", "-q", stdin=stream) == told


def test_a_refused_load_takes_back_what_it_brought_and_nothing_else(loaded: Lamina) -> None:
    good, bad = noise_layer(1), noise_layer(2)
    loaded.ok("rmi", "--no-prune", "two")
    before = loaded.contents()
    members = {"1": good, "2": SECOND, "3": bad, "c.json": config(good, SECOND, b"x")}
    path = archive(loaded.top / "x.tar", members | {"manifest.json": manifest("1", "2", "3")})
    loaded.refused("load", "-qi", path)
    assert loaded.contents() == before
    loaded.ok("store", "gc")
    assert len(loaded.contents()) < len(before)


def test_of_two_images_none_appears_if_one_is_refused(lamina: Lamina) -> None:
    broken = io.BytesIO()
    with tarfile.open(fileobj=broken, mode="w") as tar:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = tarfile.LNKTYPE, "nowhere"
        tar.addfile(member)
    both = [
        {"Config": "a.json", "RepoTags": ["a:1"], "Layers": ["a.tar"]},
        {"Config": "b.json", "RepoTags": ["b:1"], "Layers": ["b.tar"]},
    ]
    members = {
        "a.tar": BASE,
        "b.tar": broken.getvalue(),
        "a.json": config(BASE),
        "b.json": config(broken.getvalue()),
        "manifest.json": json.dumps(both).encode(),
    }
    lamina.refused("load", "-qi", archive(lamina.top / "x.tar", members), named="nowhere")
    assert lamina.contents() == []


def noise_layer(seed: int) -> bytes:
    return layer({f"file{seed}": noise(3000, seed=seed)})
