"""What a container changed, and the image that it becomes; podman, skopeo and tar look at it too."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.containers_data.conftest import Lamina

CHANGES = """
echo new > /etc/new; chmod 600 /etc/passwd
rm /opt/old/a; mv /opt/old /opt/fresh
mkdir /d; touch /d/f; chown -h 33:44 /d /d/f; ln /d/f /d/g; ln -s nowhere /d/l
rm -r /var; mkdir /var
"""
LISTED = [
    "A /d", "A /d/f", "A /d/g", "A /d/l", "C /etc", "A /etc/new", "C /etc/passwd", "C /opt",
    "A /opt/fresh", "A /opt/fresh/b", "D /opt/old", "C /var", "D /var/tmp",
]  # fmt: skip


def layer_of(lamina: Lamina, image: str) -> list[tarfile.TarInfo]:
    """Return the members of the last layer of a saved image."""
    saved = lamina.top / "saved.tar"
    lamina.ok("save", "-o", saved, image)
    with tarfile.open(saved) as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest
        name = json.load(manifest)[0]["Layers"][-1]
        with tarfile.open(fileobj=archive.extractfile(name)) as layer:
            return layer.getmembers()


def test_what_changed_is_listed_as_docker_does(box: Lamina) -> None:
    """Added, changed and deleted; the launcher's places for mounts are nobody's change."""
    box.ok("run", "--name", "untouched", "busy", "true")
    assert box.ok("diff", "untouched") == ""
    box.ok("run", "--name", "changer", "busy", "sh", "-c", CHANGES)
    assert box.ok("diff", "changer").splitlines() == LISTED


def test_a_commit_is_a_layer_with_oci_whiteouts_and_the_containers_owners(box: Lamina) -> None:
    """Moves become whole, whiteouts and opaques OCI's, hard links one file."""
    box.ok("run", "--name", "changer", "busy", "sh", "-c", CHANGES)
    box.ok("commit", "-a", "somebody", "-m", "why", "-c", 'CMD ["echo","hi"]', "changer", "made:1")
    found = {member.name: member for member in layer_of(box, "made:1")}
    assert set(found) == {
        "d", "d/f", "d/g", "d/l", "etc", "etc/new", "etc/passwd", "opt", "opt/fresh", "opt/fresh/b",
        "opt/.wh.old", "var", "var/.wh..wh..opq",
    }  # fmt: skip
    assert (found["d/f"].uid, found["d/f"].gid, found["d/g"].linkname) == (33, 44, "d/f")
    assert (found["etc/passwd"].mode, found["etc/new"].uid) == (0o600, 0)
    config = json.loads(box.ok("inspect", "made:1"))[0]
    assert config["Author"] == "somebody"
    assert config["Config"]["Cmd"] == ["echo", "hi"]
    assert "FROM=image" in config["Config"]["Env"]
    assert box.ok("run", "--rm", "made:1").strip() == "hi"
    told = box.ok(
        "run", "--rm", "made:1", "sh", "-c", "cat /etc/new /opt/fresh/b; ls -A /var /opt; ls /etc/passwd"
    )
    assert told.split() == ["new", "b", "/opt:", "fresh", "/var:", "/etc/passwd"]


def test_the_same_content_has_the_same_digest(box: Lamina) -> None:
    """Whenever it is committed; with SOURCE_DATE_EPOCH so has the image."""
    box.ok("run", "--name", "changer", "busy", "sh", "-c", CHANGES)
    layers = []
    for tag in ("made:1", "made:2"):
        box.ok("commit", "changer", tag)
        layers.append(json.loads(box.ok("inspect", tag))[0]["RootFS"]["Layers"])
    assert layers[0] == layers[1]
    assert len(layers[0]) == 2


def test_a_running_container_is_held_still(box: Lamina) -> None:
    """Two files that are written one after the other agree in the image, and it goes on after."""
    script = "exec 3>>/all; i=0; while :; do i=$((i+1)); echo $i >&3; echo $i > /n; mv /n /last; done"
    box.ok("run", "-d", "--name", "writer", "busy", "sh", "-c", script)
    try:
        for _ in range(3):
            box.ok("commit", "writer", "made:1")
            last, written = box.ok("run", "--rm", "made:1", "sh", "-c", "tail -n 1 /all; cat /last").split()
            assert int(last) - int(written) in (0, 1)
        assert "Up" in box.ok("ps")
        before = box.ok("exec", "writer", "cat", "/last")
        assert box.ok("exec", "writer", "sh", "-c", "sleep 0.2; cat /last") != before
    finally:
        box.ok("rm", "-f", "writer")


@pytest.mark.parametrize("tool", ["podman", "skopeo"])
def test_other_tools_take_the_image(box: Lamina, tool: str) -> None:
    """They read the layer, and see the same configuration."""
    if not shutil.which(tool) or (box.user and tool == "podman"):
        pytest.skip(f"no {tool}")
    box.ok("run", "--name", "changer", "busy", "sh", "-c", CHANGES)
    box.ok("commit", "changer", "made-by-lamina:1")
    saved = box.top / "made.tar"
    box.ok("save", "-o", saved, "made-by-lamina:1")
    if tool == "skopeo":
        told = subprocess.run(
            ["skopeo", "inspect", f"docker-archive:{saved}"], capture_output=True, timeout=60, check=True
        )
        assert len(json.loads(told.stdout)["Layers"]) == 2
        return
    storage = [
        "podman",
        "--root",
        str(box.top / "p"),
        "--runroot",
        str(box.top / "pr"),
        "--storage-driver",
        "vfs",
    ]
    subprocess.run([*storage, "load", "-i", str(saved)], capture_output=True, timeout=60, check=True)
    names = subprocess.run([*storage, "images", "-q"], capture_output=True, text=True, timeout=60, check=True)
    mount = [*storage, "image", "mount", names.stdout.split()[0]]
    name = subprocess.run(mount, capture_output=True, text=True, timeout=60, check=True)
    top = Path(name.stdout.strip())
    assert re.fullmatch("new\n", (top / "etc/new").read_text())
    assert os.listdir(top / "opt") == ["fresh"]
    assert os.listdir(top / "var") == []
    assert (top / "d/f").stat().st_uid == 33
