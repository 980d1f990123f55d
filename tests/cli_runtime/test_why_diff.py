"""Where a path comes from, and what differs."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from tests.cli_runtime.conftest import BASE, Lamina
from tests.support.images import Layout, layer

LINKS = {"usr/bin/sh": b"shell", "data/deep/file": b"1", "data/other": b"2", "gone/x": b"x"}


def with_links(files: dict[str, bytes], links: dict[str, str], directories: tuple[str, ...] = ()) -> bytes:
    """Return a layer with directories and symbolic links beside its files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in directories:
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o700
            tar.addfile(member)
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), 1_700_000_000
            tar.addfile(member, io.BytesIO(data))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return out.getvalue()


@pytest.fixture
def three(lamina: Lamina) -> Lamina:
    layout = Layout(lamina.top / "layout")
    layers = [
        with_links(LINKS, {"bin": "usr/bin", "circle": "circle", "up": "../../data"}),
        layer({"data/.wh..wh..opq": b"", "data/new": b"n", ".wh.gone": b""}),
        layer({"data/new": b"nn", "usr/bin/sh": b"another"}),
    ]
    layout.name(layout.image(layers), "docker.io/library/three:latest")
    layout.name(layout.image([*layers[:2]]), "docker.io/library/before:latest")
    layout.name(layout.image([BASE]), "docker.io/library/base:latest")
    lamina.give(layout.top)
    lamina.ok("load", "-qi", layout.top)
    return lamina


def test_why_names_the_layer_and_what_made_it(three: Lamina) -> None:
    lines = three.ok("why", "three", "/usr/bin/sh").splitlines()
    assert lines[0] == "/usr/bin/sh"
    assert lines[1].startswith("  from layer 3/3 ")
    assert lines[2] == "    layer 2"
    assert "hides layer 1/3" in lines[3]
    assert lines[3].endswith("replaced by layer 3")


def test_why_follows_links_among_directories(three: Lamina) -> None:
    found = json.loads(three.ok("why", "--format", "json", "three", "bin/sh"))
    assert found["Path"] == "/usr/bin/sh"
    assert found["Source"]["Layer"] == 3
    assert [one["Layer"] for one in found["Hides"]] == [1]
    assert json.loads(three.ok("why", "--format", "json", "three", "/up/new"))["Path"] == "/data/new"
    assert "-> usr/bin" in three.ok("why", "three", "/bin")
    three.refused("why", "three", "/circle/x", named="too many levels")


def test_a_merged_directory_hides_only_its_own_attributes(lamina: Lamina) -> None:
    layout = Layout(lamina.top / "layout")
    layers = [
        with_links({"etc/kept": b"1", "etc/changed": b"1"}, {}, ("etc",)),
        with_links({"etc/changed": b"2"}, {}, ("etc",)),
    ]
    layout.name(layout.image(layers), "docker.io/library/merged:latest")
    lamina.give(layout.top)
    lamina.ok("load", "-qi", layout.top)
    hidden = {
        path: [
            one["Layer"] for one in json.loads(lamina.ok("why", "--format", "json", "merged", path))["Hides"]
        ]
        for path in ("/etc", "/etc/kept", "/etc/changed")
    }
    assert hidden == {"/etc": [1], "/etc/kept": [], "/etc/changed": [1]}


@pytest.mark.parametrize(
    ("path", "how"),
    [("/gone/x", "whiteout"), ("/data/deep/file", "opaque directory"), ("/data/other", "opaque")],
)
def test_why_tells_what_took_a_path_away(three: Lamina, path: str, how: str) -> None:
    done = three.run("why", "three", path)
    assert done.returncode == 3
    assert f"{how}" in done.stdout
    assert "in layer 2" in done.stdout


def test_a_path_that_never_was(three: Lamina) -> None:
    done = three.run("why", "three", "/never")
    assert (done.returncode, done.stdout) == (3, "/never\n")


def test_diff_between_images(three: Lamina) -> None:
    assert three.ok("diff", "before", "three").splitlines() == ["C /data/new", "C /usr/bin/sh"]
    assert (
        three.ok("diff", "three@2", "three")
        == three.ok("diff", "three")
        == three.ok("diff", "before", "three")
    )
    assert three.ok("diff", "three", "three") == ""


def test_diff_of_the_first_layers(three: Lamina) -> None:
    lines = three.ok("diff", "three@1", "three@2").splitlines()
    assert lines == [
        "D /data/deep",
        "D /data/deep/file",
        "A /data/new",
        "D /data/other",
        "D /gone",
        "D /gone/x",
    ]
    assert three.ok("diff", "three@0", "base").startswith("A /bin\nA /bin/sh\n")
    three.refused("diff", "three@9", "three", named="only 3 layers")


def test_diff_of_layers_and_in_json(three: Lamina) -> None:
    layers = json.loads(three.ok("inspect", "-f", "{{json .RootFS.Layers}}", "three"))
    lines = three.ok("diff", "--format", "json", layers[1], layers[2]).splitlines()
    assert {"Kind": "A", "Path": "/usr/bin/sh", "Size": 7} in [json.loads(line) for line in lines]


def test_contents_are_compared_on_demand(lamina: Lamina) -> None:
    layout = Layout(lamina.top / "layout")
    for name, data in (("a", b"one"), ("b", b"two")):
        layout.name(layout.image([layer({"f": data})]), f"docker.io/library/{name}:latest")
    lamina.give(layout.top)
    lamina.ok("load", "-qi", layout.top)
    assert lamina.ok("diff", "a", "b") == "", "equal size and time are taken as equal"
    assert lamina.ok("diff", "--contents", "a", "b") == "C /f\n"
