"""The command for root, a plain user, and one with a single id, over an image with files to copy."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers_cli.conftest import IMAGE, Host, make_host, wait_for

__all__ = ["Host", "host", "shared", "wait_for"]

FULL = "full"  # an image with files at /data, a link to it, and a VOLUME of its own


def _image(path: Path) -> None:
    """Write a layer: what a database image would have."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, link, mode, owner in (
            ("data", tarfile.DIRTYPE, "", 0o2750, 33),
            ("data/deep", tarfile.DIRTYPE, "", 0o700, 1000),
            ("data/deep/link", tarfile.SYMTYPE, "/etc/passwd", 0o777, 0),
            ("data/fifo", tarfile.FIFOTYPE, "", 0o620, 0),
            ("alias", tarfile.SYMTYPE, "./own/../data", 0o777, 0),
            ("own", tarfile.DIRTYPE, "", 0o755, 0),
            ("outside", tarfile.SYMTYPE, "../../../../../../../../..", 0o777, 0),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode, member.uid = kind, link, mode, owner
            tar.addfile(member)
        for name, text, mode, owner in (
            ("data/file", b"from the image\n", 0o640, 33),
            ("data/deep/setuid", b"x", 0o4755, 1000),
            ("own/file", b"own\n", 0o644, 0),
        ):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.uid, member.mtime = len(text), mode, owner, 1_700_000_000
            tar.addfile(member, io.BytesIO(text))
        member = tarfile.TarInfo("data/second")
        member.type, member.linkname, member.mode, member.uid = tarfile.LNKTYPE, "data/file", 0o640, 33
        tar.addfile(member)


@pytest.fixture(scope="module", params=["root", "user", "single"])
def shared(request: pytest.FixtureRequest) -> Iterator[Host]:
    """A store for one of them, with both images."""
    made = make_host(request.param)
    merged = made.top / "merged.tar"
    shutil.copy(made.top / "box.tar", merged)
    extra = made.top / "extra.tar"
    _image(extra)
    subprocess.run(["tar", "--concatenate", "-f", str(merged), str(extra)], check=True)
    made("import", "-c", 'CMD ["sh"]', "-c", 'VOLUME ["/own"]', str(merged), FULL)
    yield made
    shutil.rmtree(made.top, ignore_errors=True)


@pytest.fixture
def host(shared: Host) -> Iterator[Host]:
    """Somebody's lamina; no container and no volume of the test stays."""
    yield shared
    for kind in (("ps", "-aq"), ("volume", "ls", "-q")):
        left = shared(*kind).split()
        if left:
            shared(*(("rm", "-f", "-v") if kind[0] == "ps" else ("volume", "rm")), *left)
    wait_for(lambda: not shared.processes())
    assert {path.name for path in (shared.top / "root/volumes").glob("*")} <= {".lock"}


assert IMAGE
