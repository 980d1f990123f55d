"""Images as directories: read-only, writable, by the kernel; what a crash leaves; what is in use stays."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from tests.cli_runtime.conftest import COMMAND, Lamina
from tests.support import accounts, mounts

pytestmark = [pytest.mark.fuse]


def directory(lamina: Lamina, name: str = "mnt") -> Path:
    path = lamina.top / name
    path.mkdir()
    lamina.give(path)
    return path


def record(lamina: Lamina) -> dict[str, object]:
    """Return the one record of a mount; root's lie in /run."""
    folder = Path("/run/lamina/mounts") if not lamina.user else lamina.top / "run/lamina/mounts"
    found: list[dict[str, object]] = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    (mine,) = [one for one in found if one["root"] == str(lamina.root)]
    return mine


def read(lamina: Lamina, path: Path) -> str:
    """Read a file as the user: root may not look into a user's mount."""
    argv = [*(accounts.as_user() if lamina.user else []), "cat", str(path)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True).stdout


def shell(lamina: Lamina, script: str) -> str:
    argv = [*(accounts.as_user() if lamina.user else []), "sh", "-ec", script]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True).stdout


def test_an_image_is_a_directory(loaded: Lamina) -> None:
    mnt = directory(loaded)
    loaded.ok("mount", "two", mnt)
    try:
        assert read(loaded, mnt / "etc/motd") == "other words\n"
        assert shell(loaded, f"ls {mnt}/etc").split() == ["hosts", "motd"], "the whiteout holds"
        assert (
            loaded.ok("mount", "--format", "{{.Mountpoint}} {{.Image}} {{.Mode}}") == f"{mnt} two:latest ro\n"
        )
        assert loaded.ok("mount", "-q") == f"{mnt}\n"
    finally:
        assert loaded.ok("unmount", mnt) == f"{mnt}\n"
    assert loaded.ok("mount", "-q") == ""
    assert mounts.at(mnt) is None


def test_a_mounted_image_cannot_be_removed(loaded: Lamina) -> None:
    mnt = directory(loaded)
    loaded.ok("mount", "two", mnt)
    before = loaded.contents()
    loaded.refused("rmi", "two", named="image is mounted at")
    loaded.refused("rmi", "-f", "two", named="cannot be forced")
    loaded.ok("image", "prune", "-af")
    loaded.ok("store", "gc")
    assert read(loaded, mnt / "etc/motd") == "other words\n"
    assert loaded.ok("images", "--format", "{{.Repository}}") == "two\n"
    assert set(loaded.contents()) <= set(before)
    assert loaded.ok("unmount", "two") == f"{mnt}\n"
    assert "Untagged: two:latest\nDeleted: sha256:" in loaded.ok("rmi", "two")
    assert loaded.contents() == []


def test_writes_go_to_an_upper(loaded: Lamina) -> None:
    mnt = directory(loaded)
    loaded.ok("mount", "--rw", "--squash", "--upper", "work", "two", mnt)
    shell(loaded, f"echo new > {mnt}/etc/new; rm {mnt}/etc/hosts; echo more >> {mnt}/etc/motd")
    loaded.ok("unmount", mnt)
    loaded.ok("mount", "--rw", "--squash", "--upper", "work", "two", mnt)
    assert shell(loaded, f"ls {mnt}/etc").split() == ["motd", "new"]
    assert read(loaded, mnt / "etc/motd") == "other words\nmore\n"
    loaded.refused("mount", "--rw", "--upper", "work", "two", directory(loaded, "again"), named="in use")
    loaded.ok("unmount", mnt)
    loaded.refused("mount", "--rw", "--upper", "work", "one", mnt, named="another image")
    loaded.ok("mount", "two", mnt)
    assert read(loaded, mnt / "etc/motd") == "other words\n", "the image is as it was"
    loaded.ok("unmount", "--all")


def test_a_fresh_upper_goes_with_its_mount(loaded: Lamina) -> None:
    mnt = directory(loaded)
    loaded.ok("mount", "--rw", "--squash", "one", mnt)
    shell(loaded, f"mkdir {mnt}/d; touch {mnt}/d/f; chmod 0 {mnt}/d")
    assert list((loaded.root / "uppers").iterdir())
    loaded.ok("unmount", mnt)
    assert not list((loaded.root / "uppers").iterdir())


def test_squash_shows_files_as_the_callers(loaded: Lamina) -> None:
    mnt = directory(loaded)
    loaded.ok("mount", "--squash", "one", mnt)
    try:
        owner = shell(loaded, f"stat -c %u:%g {mnt}/etc/motd; id -u; id -g").split()
        assert owner[0] == f"{owner[1]}:{owner[2]}"
    finally:
        loaded.ok("unmount", mnt)


def test_busy_mounts_stay_and_lazy_ones_go(loaded: Lamina) -> None:
    mnt = directory(loaded)
    loaded.ok("mount", "one", mnt)
    prefix = accounts.as_user() if loaded.user else []
    argv = [*prefix, "sh", "-c", f"cd {mnt}/etc && echo && exec sleep 60"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as user:
        assert user.stdout is not None
        user.stdout.readline()
        loaded.refused("unmount", mnt, named="busy")
        assert loaded.ok("mount", "-q") == f"{mnt}\n"
        loaded.ok("unmount", "--lazy", mnt)
        assert mounts.at(mnt) is None
        user.kill()


@pytest.mark.userns
def test_a_copy_in_another_namespace_keeps_nobody_waiting(loaded: Lamina) -> None:
    mnt = directory(loaded)
    loaded.ok("mount", "two", mnt)
    pid = record(loaded)["pid"]
    words = [*(accounts.as_user() if loaded.user else []), "unshare", "--user", "--map-root-user", "--mount"]
    script = f"cat {mnt}/etc/hosts && read go && cat {mnt}/etc/motd && read end"
    argv = [*words, "--propagation", "private", "sh", "-c", script]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "127.0.0.1 localhost\n"
        assert loaded.ok("unmount", mnt) == f"{mnt}\n"
        assert mounts.at(mnt) is None
        assert loaded.ok("mount", "-q") == ""
        loaded.ok("rmi", "two")
        loaded.ok("store", "gc")
        held = len(list((loaded.root / "store/layers").iterdir()))
        other.stdin.write("go\n")
        other.stdin.flush()
        assert other.stdout.readline() == "other words\n"  # it is in use there
        other.stdin.close()
        assert other.wait(timeout=60) == 1  # the end of its input
    while Path(f"/proc/{pid}/fd").exists() and os.listdir(f"/proc/{pid}/fd"):
        time.sleep(0.02)
    loaded.ok("store", "gc")
    assert len(list((loaded.root / "store/layers").iterdir())) < held


def test_what_a_killed_server_leaves_is_cleared_away(loaded: Lamina) -> None:
    mnt = directory(loaded)
    loaded.ok("mount", "--rw", "one", mnt)
    pid = int(str(record(loaded)["pid"]))
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while loaded.ok("mount", "-q"):
        assert time.monotonic() < end
    loaded.ok("mount", "two", mnt)
    assert read(loaded, mnt / "etc/motd") == "other words\n"
    assert not list((loaded.root / "uppers").iterdir())
    loaded.ok("unmount", mnt)
    assert mounts.at(mnt) is None


def test_a_record_of_another_boot_is_no_mount(loaded: Lamina) -> None:
    mnt = directory(loaded)
    loaded.ok("mount", "one", mnt)
    found = record(loaded)
    loaded.ok("unmount", mnt)
    folder = Path("/run/lamina/mounts") if not loaded.user else loaded.top / "run/lamina/mounts"
    left = folder / "0123456789abcdef0123456789abcdef.json"
    left.write_text(json.dumps({**found, "boot": "another"}))
    loaded.give(left)
    broken = folder / "fedcba9876543210fedcba9876543210.json"
    broken.write_text('{"version": 1, "pla')
    loaded.give(broken)
    try:
        assert loaded.ok("mount", "-q") == ""
        loaded.ok("rmi", "one")
    finally:
        left.unlink(missing_ok=True)
        broken.unlink(missing_ok=True)


def test_stale_records_of_other_roots_go(loaded: Lamina) -> None:
    mnt = directory(loaded)
    loaded.ok("mount", "one", mnt)
    folder = Path("/run/lamina/mounts") if not loaded.user else loaded.top / "run/lamina/mounts"
    other = directory(loaded, "other")
    gone = {**record(loaded), "root": str(other), "place": str(loaded.top / "elsewhere")}
    cases = {
        "boot": ({**gone, "boot": "another"}, False),
        "pid": ({**gone, "started": 1}, False),
        "root": ({**gone, "started": 1, "root": str(loaded.top / "no-root"), "fresh": True}, False),
        "lives": (gone, True),
        "leaves": ({**gone, "boot": "another", "fresh": True}, True),
        "mounted": ({**gone, "boot": "another", "place": str(mnt)}, True),
    }
    paths = {name: folder / f"test-{os.urandom(8).hex()}.json" for name in cases}
    try:
        for name, (text, _) in cases.items():
            paths[name].write_text(json.dumps(text))
            paths[name].with_suffix(".log").touch()
            loaded.give(paths[name])
            loaded.give(paths[name].with_suffix(".log"))
        loaded.ok("mount", "two", directory(loaded, "second"))
        kept = {name: path.exists() for name, path in paths.items()}
        logs = {name: path.with_suffix(".log").exists() for name, path in paths.items()}
        assert kept == logs == {name: stays for name, (_, stays) in cases.items()}
        assert read(loaded, mnt / "etc/motd") == "hello\n"
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)
            path.with_suffix(".log").unlink(missing_ok=True)
    loaded.ok("unmount", "--all")


@pytest.mark.parametrize("place", ["none", "file"])
def test_places_that_are_no_directories(loaded: Lamina, place: str) -> None:
    (loaded.top / "file").touch()
    loaded.refused("mount", "one", loaded.top / place, status=3, named="not a directory")


def test_a_place_is_taken_once(loaded: Lamina) -> None:
    mnt = directory(loaded)
    loaded.ok("mount", "one", mnt)
    loaded.refused("mount", "two", mnt, named="an image is mounted there")
    loaded.ok("unmount", mnt)
    loaded.refused("unmount", mnt, status=3, named="neither a mount of ours nor a mounted image")


def test_driver_failures_leave_nothing(loaded: Lamina) -> None:
    mnt = directory(loaded)
    loaded.refused("mount", "-o", "nonsense=1", "one", mnt, named="nonsense")
    assert mounts.at(mnt) is None
    assert loaded.ok("mount", "-q") == ""
    loaded.ok("rmi", "one")


def flags(place: Path) -> set[str]:
    """Return a mount's flags, without touching it."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    (line,) = [line for line in lines if line.split(" ")[4] == str(place)]
    return set(line.split(" ")[5].split(","))


WAYS = [(), ("--rw",), ("--kernel",), ("--kernel", "--rw")]


@pytest.mark.root
@pytest.mark.parametrize("lamina", ["root"], indirect=True)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: " ".join(way) or "plain")
def test_setuid_and_devices_of_an_image_count_only_if_asked_for(lamina: Lamina, way: tuple[str, ...]) -> None:
    with tarfile.open(lamina.top / "image.tar", "w") as archive:
        member = tarfile.TarInfo("null")
        member.type, member.devmajor, member.devminor, member.mode = tarfile.CHRTYPE, 1, 3, 0o666
        archive.addfile(member)
    lamina.ok("import", lamina.top / "image.tar", "strange")
    mnt = directory(lamina)
    lamina.ok("mount", *way, "strange", mnt)
    try:
        assert {"nosuid", "nodev"} <= flags(mnt)
        assert stat.S_ISCHR(os.lstat(mnt / "null").st_mode), "it is shown"
        with pytest.raises(PermissionError):
            (mnt / "null").read_bytes()
    finally:
        lamina.ok("unmount", mnt)
    lamina.ok("mount", *way, "-o", "suid", "-o", "dev", "strange", mnt)
    try:
        assert not {"nosuid", "nodev"} & flags(mnt)
        assert (mnt / "null").read_bytes() == b""
    finally:
        lamina.ok("unmount", mnt)


@pytest.mark.parametrize(
    "option",
    [
        "lowerdir=/etc",
        "lowerdir+=/etc",
        "upperdir=/tmp",
        "workdir=/tmp",
        "device=/dev/null",
        "devicedir=/dev",
        "layers=/etc/passwd",
        "fsname=other",
        "timeout=1,lowerdir=/etc",
    ],
)
def test_options_cannot_make_it_another_image(loaded: Lamina, option: str) -> None:
    mnt = directory(loaded)
    name = option.rpartition(",")[2].partition("=")[0]
    message = loaded.refused("mount", "-o", option, "one", mnt, status=2, named=f"-o {name}: ")
    assert message.count("\n") == 1
    assert mounts.at(mnt) is None
    assert loaded.ok("mount", "-q") == ""


@pytest.mark.root
@pytest.mark.parametrize("lamina", ["root"], indirect=True)
def test_the_kernel_alone_obeys_no_options_of_the_driver(loaded: Lamina) -> None:
    mnt = directory(loaded)
    loaded.refused("mount", "--kernel", "-o", "timeout=1", "one", mnt, status=2, named="-o timeout: ")
    assert mounts.at(mnt) is None


@pytest.mark.userns
@pytest.mark.parametrize("lamina", ["user"], indirect=True)
def test_without_fusermount_the_way_is_told_and_leads_there(loaded: Lamina) -> None:
    mnt = directory(loaded)
    helpless = ["PATH=/nowhere" if word.startswith("PATH=") else word for word in loaded.words("mount")]
    told = subprocess.run([*helpless, "one", mnt], capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 1
    assert "fusermount3 is not installed" in told.stderr
    assert "hint: lamina unshare" in told.stderr
    steps = f"{COMMAND} mount one {mnt} && cat {mnt}/etc/motd && {COMMAND} unmount {mnt}"
    done = loaded.ok("unshare", "/bin/sh", "-c", steps)
    assert done.splitlines()[0] == "hello"


@pytest.mark.root
def test_the_kernel_mounts_it_too(loaded: Lamina) -> None:
    mnt = directory(loaded)
    if loaded.user:
        loaded.refused("mount", "--kernel", "one", mnt, status=2, named="only root")
        return
    loaded.ok("mount", "--kernel", "two", mnt)
    entry = mounts.at(mnt)
    assert entry is not None
    assert entry.fstype == "erofs"
    assert (mnt / "etc/motd").read_text() == "other words\n"
    loaded.refused("rmi", "two", named="mounted")
    loaded.ok("unmount", mnt)
    loaded.ok("mount", "--kernel", "--rw", "two", mnt)
    (mnt / "etc/new").write_text("x")
    assert (mnt / "etc/hosts").read_text() == "127.0.0.1 localhost\n"
    loaded.ok("unmount", mnt)
    assert mounts.at(mnt) is None
