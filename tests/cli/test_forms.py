"""The command lines that programs and people use, each of them mounted."""

from __future__ import annotations

import errno
import json
import mmap
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import lamina_unionfs
import pytest

from tests.cli.conftest import Place, assert_one_line
from tests.support import mounts

ENGINES = ("native", "pyfuse3")


def test_version_names_the_program_first(place: Place) -> None:
    result = place.run("--version")
    assert result.returncode == 0
    assert re.fullmatch(r"lamina-unionfs \d+\.\d+\.\d+\n", result.stdout)


def test_help_names_every_argument(place: Place) -> None:
    result = place.run("--help")
    assert result.returncode == 0
    for word in ("-o", "-f", "-d", "--version", "check"):
        assert word in result.stdout


@pytest.mark.fuse
@pytest.mark.root
@pytest.mark.parametrize("engine", ENGINES)
def test_mounts_and_ends_when_unmounted(place: Place, engine: str) -> None:
    result = place.run("-o", f"{place.stack},engine={engine}", str(place.merged))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (place.merged / "one").read_text() == "from a\n"
    (place.merged / "new").write_text("new\n")
    place.unmount()
    assert (place.top / "upper" / "new").read_text() == "new\n"


@pytest.mark.fuse
@pytest.mark.root
@pytest.mark.parametrize(
    "options",
    [
        "lowerdir=a:b,upperdir=upper,workdir=work,,volatile",
        "lowerdir=a:b,upperdir=upper,workdir=work,",
        "lowerdir=a:b",
        "lowerdir=a:b,upperdir=upper,workdir=work,private,lazytime,suid,dev,noacl,static_nlink",
        "lowerdir=a:b,upperdir=upper,workdir=work,xattr_permissions=2",
        "lowerdir=a:b,uidmapping=:0:200000:2000,gidmapping=:0:200000:2000",
        "lowerdir=a,lowerdir+=b",
        "lowerdir=a:b,upperdir=upper:upper2,workdir=work:work2",
    ],
)
def test_relative_layers_in_the_forms_that_programs_give(place: Place, options: str) -> None:
    for name in ("upper2", "work2"):
        (place.top / name).mkdir()
    result = place.run("-o", options, "merged", cwd=place.top)
    assert (result.returncode, result.stderr) == (0, "")
    assert (place.merged / "one").read_text() == "from a\n"
    assert (place.merged / "two").read_text() == "from b\n"
    place.unmount()


@pytest.mark.fuse
@pytest.mark.root
def test_source_and_options_after_the_mount_point_as_mount_gives_them(place: Place) -> None:
    result = place.run("overlay", str(place.merged), "-o", f"rw,{place.stack},dev,suid")
    assert (result.returncode, result.stderr) == (0, "")
    entry = mounts.at(place.merged)
    assert entry is not None
    assert (entry.source, entry.fstype) == ("overlay", "fuse.lamina-unionfs")
    place.unmount()


@pytest.mark.fuse
@pytest.mark.root
def test_layers_from_a_file(place: Place) -> None:
    listing = place.top / "layers"
    listing.write_text(
        f"lower {place.top}/a\nlower {place.top}/b\nupper {place.top}/upper {place.top}/work\n"
    )
    assert place.run("-o", f"layers={listing}", str(place.merged)).returncode == 0
    (place.merged / "new").touch()
    place.unmount()
    assert (place.top / "upper" / "new").exists()


@pytest.mark.fuse
@pytest.mark.root
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_unmounts_cleanly(place: Place, engine: str, number: signal.Signals) -> None:
    assert place.run("-o", f"{place.stack},engine={engine}", str(place.merged)).returncode == 0
    (server,) = place.servers()
    os.kill(server, number)
    place.wait_gone()


@pytest.mark.fuse
@pytest.mark.root
@pytest.mark.parametrize("engine", ENGINES)
def test_control_requests_answer_where_a_file_is(place: Place, engine: str) -> None:
    assert place.run("-o", f"{place.stack},engine={engine}", str(place.merged)).returncode == 0
    try:
        why = os.getxattr(place.merged / "two", "user.lamina.why").decode()
        assert why.splitlines() == ["lower 1 /two"]
        assert b'"nodes"' in os.getxattr(place.merged, "user.lamina.stats")
        assert not [name for name in os.listxattr(place.merged / "two") if name.startswith("user.lamina.")]
    finally:
        place.unmount()


def counted(at: Path) -> dict[int, int]:
    """Return the requests of a mount by opcode."""
    numbers = json.loads(os.getxattr(at, "user.lamina.stats"))["server"]["by_opcode"]
    return {int(opcode): count for opcode, count in numbers.items()}


def platform_is_at_least(*version: int) -> bool:
    numbers = re.findall(r"\d+", os.uname().release)
    return tuple(map(int, numbers[: len(version)])) >= version


@pytest.mark.fuse
@pytest.mark.root
def test_a_created_file_costs_four_requests(place: Place) -> None:
    lookup, getattr_, write, release, getxattr, create = 1, 3, 16, 18, 22, 35
    files = 50
    assert place.run("-o", place.stack, str(place.merged)).returncode == 0
    try:
        before = counted(place.merged)
        for number in range(files):
            (place.merged / f"new{number}").write_bytes(b"x" * 100)
        after = counted(place.merged)
        grown = {opcode: after.get(opcode, 0) - before.get(opcode, 0) for opcode in after}
        assert [grown.get(opcode, 0) for opcode in (create, write, release)] == [files, files, 0]
        if platform_is_at_least(6, 18):  # older kernels ask for security.capability before the first write
            assert grown.get(getxattr, 0) <= 2  # our own question
        assert abs(grown[lookup] - files) <= 1
        assert abs(grown[getattr_] - files) <= 2
    finally:
        place.unmount()


@pytest.mark.fuse
def test_without_xattrs_there_are_none(place: Place) -> None:
    assert place.run("-o", f"{place.stack},noxattrs", str(place.merged)).returncode == 0
    try:
        for _ in range(2):  # the second is the kernel's answer
            for name in ("user.x", "user.lamina.stats"):
                with pytest.raises(OSError) as failure:
                    os.getxattr(place.merged / "one", name)
                assert failure.value.errno == errno.EOPNOTSUPP
            with pytest.raises(OSError) as failure:
                os.setxattr(place.merged / "one", "user.x", b"value")
            assert failure.value.errno == errno.EOPNOTSUPP
            with pytest.raises(OSError) as failure:
                os.removexattr(place.merged / "one", "user.x")
            assert failure.value.errno == errno.EOPNOTSUPP
        (place.merged / "one").write_text("written\n")
        assert (place.merged / "one").read_text() == "written\n"
    finally:
        place.unmount()


@pytest.mark.fuse
def test_direct_reads_see_what_is_written_after_the_copy_up(place: Place) -> None:
    content = os.urandom(300_000)
    (place.top / "a" / "large").write_bytes(content)
    assert place.run("-o", f"{place.stack},direct_read=4096", str(place.merged)).returncode == 0
    read_opcode = 15
    try:
        path = place.merged / "large"
        before = counted(place.merged)
        assert path.read_bytes() == content == path.read_bytes()
        after = counted(place.merged)
        assert after[read_opcode] - before.get(read_opcode, 0) >= 2  # the cache had nothing for the second
        with (
            path.open("rb", buffering=0) as reader,
            mmap.mmap(reader.fileno(), 0, prot=mmap.PROT_READ) as view,
        ):
            assert view[:] == content
            with path.open("r+b", buffering=0) as writer:
                writer.write(b"new")
            assert os.pread(reader.fileno(), 5, 0) == b"new" + content[3:5]
            assert view[:5] == b"new" + content[3:5]
    finally:
        place.unmount()


@pytest.mark.fuse
@pytest.mark.root
def test_the_python_api_mounts_and_unmounts(place: Place) -> None:
    top = place.top
    with lamina_unionfs.mount(
        lower=[top / "a", top / "b"], upper=top / "upper", work=top / "work", at=place.merged
    ) as mount:
        assert Path(mount.path, "one").read_text() == "from a\n"
        assert mount.pid in place.servers()
    place.wait_gone()


@pytest.mark.fuse
@pytest.mark.root
def test_the_python_api_raises_the_servers_line(place: Place) -> None:
    with pytest.raises(lamina_unionfs.MountError, match="none: No such file"):
        lamina_unionfs.mount(lower=[place.top / "none"], at=place.merged)


def test_as_a_module(place: Place) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "lamina_unionfs", "-o", "nonsense", str(place.merged)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert_one_line(result, "nonsense", status=2)


def test_through_a_symbolic_link(place: Place) -> None:
    link = place.top / "link"
    link.symlink_to(place.command)
    result = subprocess.run([link, "--version"], capture_output=True, text=True, timeout=20, check=True)
    assert result.stdout.startswith("lamina-unionfs ")


@pytest.mark.root
def test_check_says_what_an_upper_uses(place: Place) -> None:
    upper = place.top / "upper"
    (upper / "renamed").mkdir()
    os.setxattr(upper / "renamed", "trusted.overlay.redirect", b"old")
    os.setxattr(upper / "renamed", "trusted.overlay.opaque", b"y")
    os.mknod(upper / "gone", 0o020000, os.makedev(0, 0))
    result = place.run("check", str(upper))
    assert result.returncode == 0
    counts = {line.split()[0]: line.split()[1] for line in result.stdout.splitlines()[:6]}
    assert counts == {
        "redirect": "1",
        "metacopy": "0",
        "opaque": "1",
        "whiteout": "1",
        "xwhiteout": "0",
        "index": "0",
    }
    assert_one_line(place.run("check", f"{upper}/none"), "none")
