"""`lamina doctor` on hosts that lack one thing each, made by namespaces and mounts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.userns, pytest.mark.timeout(60)]
LAMINA = str(Path(sys.executable).parent / "lamina")
PLAIN = "exec setpriv --reuid 65533 --regid 65533 --clear-groups "


def rungs(before: str, *wrapper: str) -> dict[str, Any]:
    """Run doctor after a script that may take things away; its rows by name."""
    script = f"{before} {LAMINA} --root /tmp doctor --format json"
    done = subprocess.run(
        [*wrapper, "sh", "-e", "-c", script], capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    for row in rows.values():
        assert bool(row["means"]) is bool(row["fix"]) is not row["found"]
    return rows


def private(script: str = "") -> dict[str, Any]:
    """As a plain user without subordinate ids, where root did something in a mount namespace."""
    return rungs(f"{script} {PLAIN}", "unshare", "-m")


@pytest.mark.root
def test_a_plain_user_without_subordinate_ids() -> None:
    rows = private()
    assert not rows["subordinate ids"]["found"]
    assert "--add-subuids" in rows["subordinate ids"]["fix"]
    for name in ("user namespace", "mount namespace", "pid namespace", "fresh /proc", "system call filter"):
        assert rows[name]["found"], rows[name]


@pytest.mark.root
def test_no_fuse() -> None:
    row = private("mount --bind /dev/fuse /dev/fuse; mount -o remount,bind,nodev /dev/fuse;")["/dev/fuse"]
    assert row["detail"] == "Permission denied"


@pytest.mark.root
def test_a_masked_proc() -> None:
    rows = private("mount -t tmpfs none /proc/fs;")
    assert rows["mount namespace"]["found"]
    assert rows["fresh /proc"]["detail"].startswith("mount proc on /proc: Operation not permitted")


def test_no_user_namespaces() -> None:
    before = "echo 0 > /proc/sys/user/max_user_namespaces;"
    rows = rungs(before, "unshare", "--user", "--map-user=1000", "--keep-caps")
    assert rows["user namespace"]["detail"] == "make a user namespace: No space left on device"
    assert rows["user namespace"]["fix"] == "sysctl user.max_user_namespaces=10000"
    assert not rows["mount namespace"]["found"]


@pytest.mark.root
def test_root_needs_no_user_namespace() -> None:
    rows = rungs("", "env")
    assert "user namespace" not in rows
    assert rows["mount namespace"]["found"]


def test_nothing_of_the_probes_stays(tmp_path: Path) -> None:
    done = subprocess.run([LAMINA, "--root", str(tmp_path), "doctor"], capture_output=True, check=False)
    assert done.returncode == 0
    assert [name for name in os.listdir(tmp_path) if "probe" in name] == []
