"""mount(8) and fstab lines: the helper mount.fuse3 starts our command."""

import subprocess
from pathlib import Path

import pytest

from tests.support import capabilities

pytestmark = [
    pytest.mark.fuse,
    pytest.mark.root,
    pytest.mark.requires("driver"),
    pytest.mark.timeout(60),
]


def _layers(top: Path) -> str:
    for name in ("lower", "upper", "work", "merged"):
        (top / name).mkdir()
    (top / "lower" / "file").write_text("from the lower\n")
    return f"lowerdir={top}/lower,upperdir={top}/upper,workdir={top}/work"


def _in_own_namespace(top: Path, script: str) -> str:
    """Run a script in a mount namespace of its own, in which our command is in /usr/local/bin.

    mount.fuse3 looks for it in a PATH of its own, so a PATH in the environment is no help.
    """
    program = capabilities.driver()
    assert program is not None
    (top / "bin").mkdir()
    (top / "bin" / program.name).symlink_to(program)
    script = f"mount --bind {top}/bin /usr/local/bin; {script}"
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=40)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_mount_of_type_fuse_lamina_unionfs(tmp_path: Path) -> None:
    options = _layers(tmp_path)
    text = _in_own_namespace(
        tmp_path,
        f"mount -t fuse.lamina-unionfs -o {options} union {tmp_path}/merged; cat {tmp_path}/merged/file;"
        f"echo changed > {tmp_path}/merged/file; umount {tmp_path}/merged; cat {tmp_path}/upper/file",
    )
    assert text == "from the lower\nchanged\n"


def test_a_line_of_fstab(tmp_path: Path) -> None:
    options = _layers(tmp_path)
    line = f"union {tmp_path}/merged fuse.lamina-unionfs {options},noauto,nofail,x-systemd.automount 0 0\n"
    (tmp_path / "fstab").write_text(line)
    text = _in_own_namespace(
        tmp_path,
        f"mount --fstab {tmp_path}/fstab {tmp_path}/merged; cat {tmp_path}/merged/file;"
        f"grep -c {tmp_path}/merged.fuse.lamina-unionfs /proc/self/mounts; umount {tmp_path}/merged",
    )
    assert text == "from the lower\n1\n"


def test_read_only_by_mount_option(tmp_path: Path) -> None:
    options = _layers(tmp_path)
    text = _in_own_namespace(
        tmp_path,
        f"mount -t fuse.lamina-unionfs -o ro,{options} union {tmp_path}/merged;"
        f"touch {tmp_path}/merged/new 2>&1 || true; umount {tmp_path}/merged",
    )
    assert "Read-only file system" in text


def test_a_refused_mount_has_a_status_and_one_line(tmp_path: Path) -> None:
    _layers(tmp_path)
    text = _in_own_namespace(
        tmp_path,
        f"mount -t fuse.lamina-unionfs -o lowerdir={tmp_path}/nowhere union {tmp_path}/merged 2>&1 && exit 9;"
        f"grep -c {tmp_path}/merged /proc/self/mounts || true",
    )
    lines = text.strip().splitlines()
    assert lines[-1] == "0"
    assert len(lines) == 2
    assert "nowhere" in lines[0]
