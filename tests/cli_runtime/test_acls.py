"""POSIX ACLs of images: they hold where there are some, and cost nothing where there are none."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.cli_runtime.conftest import BASE, Lamina
from tests.support import accounts
from tests.support.images import Layout

pytestmark = [
    pytest.mark.root,
    pytest.mark.fuse,
    pytest.mark.parametrize("lamina", ["user"], indirect=True),  # root may read whatever an ACL says
]

GETXATTR = "22"
USER_OBJ, USER, GROUP_OBJ, MASK, OTHER = 1, 2, 4, 16, 32
NOBODY = 0xFFFFFFFF


def acl(user: int, rights: int) -> str:
    """Return an access ACL as it is stored: `rights` of one further user, others may read."""
    entries = ((USER_OBJ, 6, NOBODY), (USER, rights, user), (GROUP_OBJ, 4, NOBODY), (MASK, 7, NOBODY))
    packed = b"".join(struct.pack("<HHI", *entry) for entry in (*entries, (OTHER, 4, NOBODY)))
    return (struct.pack("<I", 2) + packed).decode("utf-8", "surrogateescape")


def with_acls(user: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", errors="surrogateescape") as tar:
        for name, rights in (("kept", 0), ("given", 4)):
            member = tarfile.TarInfo(name)
            member.mode, member.size = 0o674, 2
            member.pax_headers = {"SCHILY.xattr.system.posix_acl_access": acl(user, rights)}
            tar.addfile(member, io.BytesIO(b"x\n"))
    return out.getvalue()


def mounted(lamina: Lamina, *layers: bytes) -> Path:
    """Mount an image of layers."""
    layout = Layout(lamina.top / "layout")
    layout.name(layout.image(layers), "docker.io/library/it:latest")
    place = lamina.top / "mnt"
    place.mkdir()
    lamina.give(lamina.top)
    lamina.ok("load", "-qi", layout.top)
    lamina.ok("mount", "it", place)
    return place


def by_user(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    words = [*accounts.as_user(), *map(str, argv)]
    return subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)


def asked(place: Path) -> int:
    """Return how often the kernel asked for an attribute."""
    told = by_user("getfattr", "--only-values", "-n", "user.lamina.stats", place)
    requests: dict[str, int] = json.loads(told.stdout)["server"]["by_opcode"]
    return requests.get(GETXATTR, 0)


def test_they_give_and_they_take(lamina: Lamina) -> None:
    place = mounted(lamina, BASE, with_acls(accounts.ids()[0]))
    assert by_user("cat", place / "given").stdout == "x\n"
    refused = by_user("cat", place / "kept")
    assert refused.returncode == 1
    assert "Permission denied" in refused.stderr
    assert f"user:{accounts.USER}:---" in by_user("getfacl", place / "kept").stdout
    lamina.ok("unmount", place)


@pytest.mark.parametrize("hidden", [False, True])
def test_where_there_are_none_the_kernel_does_not_ask(lamina: Lamina, hidden: bool) -> None:
    """What another layer hides is not there."""
    whiteouts = io.BytesIO()
    with tarfile.open(fileobj=whiteouts, mode="w") as tar:
        for name in (".wh.kept", ".wh.given"):
            tar.addfile(tarfile.TarInfo(name))
    layers = (with_acls(accounts.ids()[0]), whiteouts.getvalue()) if hidden else ()
    place = mounted(lamina, *layers, BASE)
    before = asked(place)
    assert by_user("cat", place / "etc/motd", place / "etc/passwd").returncode == 0
    assert by_user("ls", place / "bin").returncode == 0
    assert asked(place) - before <= 2, "the question for the numbers: for the size, for the answer"
    lamina.ok("unmount", place)
