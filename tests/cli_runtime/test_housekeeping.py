"""The store's own verbs: check, gc, dedup, df, prune; and exports and changes of imports."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.cli_runtime.conftest import Lamina
from tests.support.images import Layout, layer, noise

SHARED = noise(400_000, seed=7)


@pytest.fixture
def twins(lamina: Lamina) -> Lamina:
    """A store with two images whose layers differ, but hold one large file both."""
    layout = Layout(lamina.top / "layout")
    layout.name(layout.image([layer({"a/data": SHARED, "name": b"first"})]), "docker.io/library/first:latest")
    layout.name(
        layout.image([layer({"name": b"second", "b/data": SHARED})]), "docker.io/library/second:latest"
    )
    lamina.give(layout.top)
    lamina.ok("load", "-qi", layout.top)
    return lamina


def blocks(top: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in top.rglob("*") if path.is_file())


def exported(lamina: Lamina, image: str) -> dict[str, bytes]:
    target = lamina.top / f"{image}.tar"
    lamina.ok("image", "export", "-o", target, image)
    with tarfile.open(target) as tar:
        return {
            member.name: reader.read() if (reader := tar.extractfile(member)) else b""
            for member in tar.getmembers()
        }


def test_dedup_keeps_shared_content_once_and_changes_nothing_seen(twins: Lamina) -> None:
    before, size = {name: exported(twins, name) for name in ("first", "second")}, blocks(twins.root / "store")
    assert "Total reclaimed space: " in twins.ok("store", "dedup")
    assert blocks(twins.root / "store") < size - 300_000
    assert {name: exported(twins, name) for name in ("first", "second")} == before
    twins.ok("store", "check", "-q", "--full")
    twins.ok("save", "-o", twins.top / "again.tar", "second")
    twins.ok("rmi", "first", "second")
    twins.ok("load", "-qi", twins.top / "again.tar")
    assert exported(twins, "second") == before["second"]


def test_dedup_twice_finds_nothing_more(twins: Lamina) -> None:
    twins.ok("store", "dedup", "-q")
    assert twins.ok("store", "dedup", "-q") == "Total reclaimed space: 0B\n"


def test_check_names_what_is_damaged(twins: Lamina) -> None:
    assert twins.ok("store", "check", "-q") == ""
    victim = max(
        (path for path in (twins.root / "store").rglob("*") if path.is_file()), key=lambda p: p.stat().st_size
    )
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.chmod(0o600)
    victim.write_bytes(data)
    done = twins.run("store", "check", "-q")
    assert done.returncode == 4
    assert victim.name[:12] in done.stdout
    assert done.stderr.startswith("error: the store has ")


def test_gc_and_df_agree(twins: Lamina) -> None:
    twins.ok("rmi", "first")
    rows = [json.loads(line) for line in twins.ok("system", "df", "--format", "json").splitlines()]
    assert {row["Type"] for row in rows} >= {"Images"}
    assert twins.ok("store", "gc", "-q", "-n") == twins.ok("store", "gc", "-q")
    assert twins.ok("store", "gc", "-q") == "Total reclaimed space: 0B\n"


def test_prune_leaves_what_has_a_name(twins: Lamina) -> None:
    twins.ok("image", "prune", "-f")
    assert sorted(twins.ok("images", "--format", "{{.Repository}}").split()) == ["first", "second"]
    twins.ok("image", "prune", "-af")
    assert twins.ok("images", "-q") == ""


CHANGES = [
    ("CMD echo hi", "Cmd", ["/bin/sh", "-c", "echo hi"]),
    ('CMD ["echo", "hi"]', "Cmd", ["echo", "hi"]),
    ('ENTRYPOINT ["/init"]', "Entrypoint", ["/init"]),
    ("ENV A=1 B='two words'", "Env", ["A=1", "B=two words"]),
    ("EXPOSE 80/tcp 53/udp", "ExposedPorts", {"80/tcp": {}, "53/udp": {}}),
    ("LABEL a=b", "Labels", {"a": "b"}),
    ("USER ann:staff", "User", "ann:staff"),
    ("VOLUME /data", "Volumes", {"/data": {}}),
    ("WORKDIR /srv", "WorkingDir", "/srv"),
    ("STOPSIGNAL SIGINT", "StopSignal", "SIGINT"),
]


@pytest.mark.parametrize(("change", "key", "value"), CHANGES)
def test_changes_of_an_import(lamina: Lamina, change: str, key: str, value: object) -> None:
    name = lamina.ok("import", "--change", change, "-", "made:1", input=layer({"f": b"x"}), text=False)
    assert name.startswith(b"sha256:")
    assert json.loads(lamina.ok("inspect", "made:1"))[0]["Config"][key] == value


@pytest.mark.parametrize("change", ["RUN true", "CMD", "EXPOSE many", "nonsense", "ENV"])
def test_changes_that_are_none(lamina: Lamina, change: str) -> None:
    done = lamina.run("import", "--change", change, "-", "made:1", input=layer({"f": b"x"}), text=False)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith(b"error: ")
    assert lamina.ok("images", "-q") == ""


def test_export_to_stdout_is_a_tar(twins: Lamina) -> None:
    done = twins.run("image", "export", "first", text=False)
    assert done.returncode == 0
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        assert "a/data" in tar.getnames()


def test_export_says_which_layer_is_missing(twins: Lamina) -> None:
    (diff_id,) = json.loads(twins.ok("image", "inspect", "first"))[0]["RootFS"]["Layers"]
    tar = twins.root / "store/devices" / diff_id[7:]
    tar.unlink()
    message = twins.refused("export", "-o", twins.top / "out.tar", "first", named=diff_id[7:19])
    assert "no such container or image" not in message
    assert not (twins.top / "out.tar").exists()
    twins.refused(
        "export", "-o", twins.top / "out.tar", "nothing", named="no such container or image: nothing"
    )
