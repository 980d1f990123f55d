"""Archives of every kind and maker, in and out; digests are the same on the way round."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli_runtime.conftest import BASE, SECOND, Lamina
from tests.support.images import Layout, digest, run


def archive(path: Path, members: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> Path:
    """Write a tar with members in the order given, symbolic links last."""
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    path.chmod(0o644)
    return path


def config(*layers: bytes) -> bytes:
    value = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
    }
    return json.dumps(value).encode()


def docker_archive(path: Path, *, layers_first: bool = True) -> Path:
    """Write what docker 1.10 to 24 wrote: a directory for each layer, equal ones as links."""
    manifest = [
        {
            "Config": "c.json",
            "RepoTags": ["old:1", "old:2"],
            "Layers": ["a/layer.tar", "b/layer.tar", "d/layer.tar"],
        }
    ]
    layers = {"a/VERSION": b"1.0", "a/layer.tar": BASE, "b/layer.tar": SECOND}
    documents = {"c.json": config(BASE, SECOND, BASE), "manifest.json": json.dumps(manifest).encode()}
    members = {**layers, **documents} if layers_first else {**documents, **layers}
    return archive(path, members, {"d/layer.tar": "../a/layer.tar"})


@pytest.mark.parametrize("layers_first", [True, False])
@pytest.mark.parametrize("way", ["file", "stdin", "gzip", "zstd", "xz", "bzip2"])
def test_docker_archives(lamina: Lamina, way: str, layers_first: bool) -> None:
    path = docker_archive(lamina.top / "old.tar", layers_first=layers_first)
    if way == "stdin":
        with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as cat:
            out = lamina.ok("load", "-q", stdin=cat.stdout)
    else:
        if way != "file":
            with path.open("rb") as plain, (lamina.top / "packed").open("wb") as packed:
                subprocess.run([way, "-c"], stdin=plain, stdout=packed, check=True)
            path = lamina.top / "packed"
        out = lamina.ok("load", "-q", "--input", path)
    assert out == "Loaded image: old:1\nLoaded image: old:2\n"
    expected = "sha256:" + hashlib.sha256(config(BASE, SECOND, BASE)).hexdigest()
    assert lamina.ok("images", "-q", "--no-trunc", "old:1").strip() == expected
    lamina.ok("image", "verify", "old:1")


def test_archives_of_before_1_10(lamina: Lamina) -> None:
    base = {
        "id": "a" * 64,
        "created": "2014-01-01T00:00:00Z",
        "container_config": {"Cmd": ["/bin/sh", "-c", "x"]},
    }
    top = {
        "id": "b" * 64,
        "parent": "a" * 64,
        "created": "2014-02-01T00:00:00Z",
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["old"]},
        "Size": 3,
    }
    path = archive(
        lamina.top / "ancient.tar",
        {
            f"{'a' * 64}/VERSION": b"1.0",
            f"{'a' * 64}/json": json.dumps(base).encode(),
            f"{'a' * 64}/layer.tar": BASE,
            f"{'b' * 64}/json": json.dumps(top).encode(),
            f"{'b' * 64}/layer.tar": SECOND,
            "repositories": json.dumps({"ancient": {"1": "b" * 64}}).encode(),
        },
    )
    assert lamina.ok("load", "-qi", path) == "Loaded image: ancient:1\n"
    assert (
        lamina.ok("inspect", "-f", "{{.Config.Cmd}} {{.Created}}", "ancient:1")
        == "[old] 2014-02-01T00:00:00Z\n"
    )
    assert lamina.ok("history", "--format", "{{.CreatedBy}}", "ancient:1") == "\n/bin/sh -c x\n"


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir"])
def test_what_is_saved_loads_again_and_is_the_same(loaded: Lamina, form: str) -> None:
    first, second = loaded.top / "first", loaded.top / "second"
    loaded.ok("save", "--format", form, "-o", first, "one", "two")
    before = loaded.ok("images", "--digests", "--no-trunc", "--format", "{{.Repository}} {{.ID}} {{.Digest}}")
    loaded.ok("image", "prune", "-af")
    assert loaded.contents() == []
    assert set(loaded.ok("load", "-qi", first).splitlines()) == {
        "Loaded image: one:latest",
        "Loaded image: two:latest",
    }
    assert (
        loaded.ok("images", "--digests", "--no-trunc", "--format", "{{.Repository}} {{.ID}} {{.Digest}}")
        == before
    )
    loaded.ok("save", "--format", form, "-o", second, "one", "two")
    if form == "oci-dir":
        assert {path.name for path in first.rglob("*")} == {path.name for path in second.rglob("*")}
    else:
        assert first.read_bytes() == second.read_bytes()


def test_save_streams_to_a_pipe(loaded: Lamina) -> None:
    done = subprocess.run(loaded.words("save", "two"), capture_output=True, timeout=60, check=True)
    loaded.ok("save", "-o", loaded.top / "file", "two")
    assert done.stdout == (loaded.top / "file").read_bytes()


def test_skopeo_reads_ours(loaded: Lamina) -> None:
    loaded.ok("save", "-o", loaded.top / "d.tar", "two")
    loaded.ok("save", "--format", "oci-archive", "-o", loaded.top / "o.tar", "two")
    image = loaded.ok("images", "-q", "--no-trunc", "two").strip()
    for source in (f"docker-archive:{loaded.top}/d.tar", f"oci-archive:{loaded.top}/o.tar"):
        raw = json.loads(run("skopeo", "inspect", "--raw", source))
        assert raw["config"]["digest"] == image


def test_what_skopeo_writes(lamina: Lamina, layout: Layout) -> None:
    image = json.loads(run("skopeo", "inspect", "--raw", f"oci:{layout.top}:docker.io/library/two:latest"))
    for transport in ("docker-archive", "oci-archive"):
        path = lamina.top / transport
        run(
            "skopeo",
            "copy",
            "-q",
            "--insecure-policy",
            f"oci:{layout.top}:docker.io/library/two:latest",
            f"{transport}:{path}:example.com/{transport}:1",
        )
        path.chmod(0o644)
        assert lamina.ok("load", "-qi", path) == f"Loaded image: example.com/{transport}:1\n"
        assert (
            lamina.ok("images", "-q", "--no-trunc", f"example.com/{transport}").strip()
            == image["config"]["digest"]
        )


def test_umoci_layouts_have_bare_tags(lamina: Lamina) -> None:
    top = lamina.top / "umoci"
    run("umoci", "init", "--layout", top)
    run("umoci", "new", "--image", f"{top}:v1")
    lamina.give(top)
    assert lamina.ok("load", "-qi", top).startswith("Loaded image ID: sha256:")
    assert lamina.ok("load", "-qi", top, "--name", "mine") == "Loaded image: mine:v1\n"


def test_loading_again_reads_no_layer(loaded: Lamina, layout: Layout) -> None:
    before = loaded.contents()
    stderr = loaded.run("load", "-i", layout.top).stderr
    assert stderr.count("Layer already exists") == 2
    assert "Loading layer" not in stderr
    assert loaded.contents() == before


def test_platforms(lamina: Lamina) -> None:
    layout = Layout(lamina.top / "layout")
    images = [layout.image([BASE], architecture="arm64"), layout.image([BASE, SECOND], architecture="s390x")]
    layout.name(layout.index(images), "docker.io/library/multi:1")
    lamina.give(layout.top)
    assert lamina.ok("load", "-qi", layout.top, "--platform", "linux/s390x") == "Loaded image: multi:1\n"
    assert lamina.ok("inspect", "-f", "{{.Architecture}}", "multi:1") == "s390x\n"
    lamina.refused("load", "-qi", layout.top, "--platform", "linux/ppc64le", named="linux/ppc64le")


def test_save_does_not_touch_the_old_file_when_it_fails(loaded: Lamina) -> None:
    target = loaded.top / "kept"
    target.write_text("old")
    loaded.give(target)
    loaded.refused("save", "-o", target, "one", "none", status=1)
    assert target.read_text() == "old"
    assert [path.name for path in loaded.top.iterdir() if path.name.startswith(".kept")] == []


def test_what_passes_by_was_not_there_before(lamina: Lamina) -> None:
    path = docker_archive(lamina.top / "old.tar")
    with path.open("rb") as packed:
        told = lamina.run("load", input=packed.read().decode("latin-1"), encoding="latin-1")
    assert told.returncode == 0
    assert "already exists" not in told.stderr
    assert told.stderr.count("Load complete") == 3  # the archive, and its two layers
    again = lamina.run("load", "-i", path)
    assert again.stderr.count("Layer already exists") == 2


@pytest.mark.parametrize("there", [False, True])
def test_a_directory_that_cannot_be_filled_is_as_it_was(loaded: Lamina, there: bool) -> None:
    target = loaded.top / "layout-out"
    if there:
        target.mkdir()
        loaded.give(target)
    packed = digest(gzip.compress(SECOND, 6, mtime=0)).removeprefix("sha256:")
    blob = loaded.root / "store/blobs/sha256" / packed
    whole = blob.read_bytes()
    for spoilt in (whole[:-1], whole + b"x"):
        blob.write_bytes(spoilt)
        loaded.refused("save", "--format", "oci-dir", "-o", target, "two", named=packed)
        assert list(target.iterdir()) == [] if there else not target.exists()
    loaded.refused("save", "--format", "oci-archive", "-o", target / "x" if there else target, "two")
    blob.write_bytes(whole)
    loaded.ok("save", "--format", "oci-dir", "-o", target, "two")


def test_what_is_wrong_with_the_words_is_said_before_anything_is_read(lamina: Lamina) -> None:
    nowhere = lamina.top / "no-such-file"
    lamina.refused("load", "--name", "X Y", "-i", nowhere, named="X Y")
    lamina.refused("load", "--name", "a:1", "-i", nowhere, named="a:1")
    words = lamina.words("import", nowhere)
    words.insert(words.index("env") + 1 + ("-i" in words), "SOURCE_DATE_EPOCH=soon")
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "SOURCE_DATE_EPOCH is not a number" in done.stderr
