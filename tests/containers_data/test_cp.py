"""Files between containers and the host: docker's path rules, tars, links that lead out."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator

import pytest

from tests.containers_data.conftest import Lamina


@pytest.fixture(params=["running", "stopped"])
def there(box: Lamina, request: pytest.FixtureRequest) -> Iterator[Lamina]:
    """A container `cc` that runs, or does not."""
    box.ok("run", "-d", "--name", "cc", "busy", "sleep", "300")
    if request.param == "stopped":
        box.ok("stop", "-t", "0", "cc")
    source = box.top / "dir"
    (source / "sub").mkdir(parents=True)
    (source / "sub/file").write_text("words\n")
    (source / "link").symlink_to("sub/file")
    box.give(source)
    yield box
    box.run("rm", "-f", "cc")


def test_directories_and_files_as_docker_places_them(there: Lamina) -> None:
    """A directory that is there takes a copy below it; `/.` means the contents."""
    there.ok("cp", "dir", "cc:/tmp")
    there.ok("cp", "dir", "cc:/tmp/renamed")
    there.ok("cp", "dir/.", "cc:/opt")
    there.ok("cp", "dir/sub/file", "cc:/tmp/one")
    for path in ("/tmp/dir/sub/file", "/tmp/renamed/sub/file", "/opt/sub/file", "/tmp/one"):
        there.ok("cp", f"cc:{path}", "back")
        assert (there.top / "back").read_text() == "words\n"
    there.ok("cp", "cc:/tmp/dir", "out")
    assert (there.top / "out/link").readlink().name == "file"
    there.ok("cp", "-L", "cc:/tmp/dir/link", "followed")
    assert (there.top / "followed").read_text() == "words\n"
    there.refused("cp", "cc:/nowhere", "x", named="Could not find the file /nowhere")
    there.refused("cp", "dir", "cc:/nowhere/x", named="Could not find the directory /nowhere")
    there.refused("cp", "dir", "cc:/tmp/one", named="cannot copy a directory")


def test_tars_on_the_standard_streams(there: Lamina) -> None:
    """`-` is a tar either way, and export is all of it."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        member = tarfile.TarInfo("from/tar")
        member.size, member.uid, member.gid = 3, 33, 44
        tar.addfile(member, io.BytesIO(b"abc"))
    there.ok("cp", "-", "cc:/tmp", input=raw.getvalue(), text=False)
    words = there.words("cp", "cc:/tmp/from", "-")
    out = subprocess.run(words, capture_output=True, check=True, timeout=60, cwd=there.top)
    with tarfile.open(fileobj=io.BytesIO(out.stdout)) as tar:
        found = tar.getmember("from/tar")
        assert (found.uid, found.gid, found.size) == (33, 44, 3)
    there.ok("export", "-o", "all.tar", "cc")
    with tarfile.open(there.top / "all.tar") as tar:
        assert {"etc/passwd", "tmp/from/tar", "bin/busybox"} <= set(tar.getnames())


def test_links_of_the_container_lead_nowhere_else(there: Lamina) -> None:
    """A link to / is the container's, both ways."""
    victim = there.top / "victim"
    victim.write_text("host\n")
    there.give(victim)
    (there.top / "out").symlink_to(there.top)
    there.ok("cp", "out", "cc:/tmp/out")
    there.refused("cp", f"cc:/tmp/out{victim.name}", "x", named="Could not find")
    there.refused("cp", "cc:/tmp/out/victim", "x", named="Could not find")
    there.run("cp", "dir/sub/file", "cc:/tmp/out/victim")
    assert victim.read_text() == "host\n"


def test_links_to_themselves_are_an_error(there: Lamina) -> None:
    """Both ways, followed or gone through; the link itself can be copied."""
    loop = there.top / "loop"
    loop.symlink_to("loop")
    there.ok("cp", "loop", "cc:/loop")
    there.ok("cp", "cc:/loop", "back")
    assert (there.top / "back").is_symlink()
    for words in (
        ("-L", "cc:/loop", "dir/"), ("cc:/loop/x", "dir/"), ("dir/sub/file", "cc:/loop"),
        ("dir/sub/file", "cc:/loop/x"), ("-L", "loop", "cc:/tmp/x"),
    ):  # fmt: skip
        there.refused("cp", *words, named="Too many levels of symbolic links")
    assert not (there.top / "dir/loop").is_symlink()


def test_a_hostile_tar_is_refused(there: Lamina) -> None:
    """No path leads out of the directory, through `..` or a link that the tar brings."""
    for build in (_dots, _link):
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as tar:
            build(tar)
        done = there.run("cp", "-", "cc:/tmp", input=raw.getvalue(), text=False)
        assert done.returncode == 1
        assert "Traceback" not in str(done.stderr)
    there.refused("cp", "cc:/etc/escaped", "x", named="Could not find")


def _dots(tar: tarfile.TarFile) -> None:
    tar.addfile(tarfile.TarInfo("../etc/escaped"))


def _link(tar: tarfile.TarFile) -> None:
    link = tarfile.TarInfo("through")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    tar.addfile(link)
    tar.addfile(tarfile.TarInfo("through/escaped"))
