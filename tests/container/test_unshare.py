"""`lamina unshare`: a program of the host under the maps that containers get."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.userns, pytest.mark.root, pytest.mark.timeout(60)]
LAMINA = str(Path(sys.executable).parent / "lamina")


def unshare(script: str, *, user: str = "65533") -> subprocess.CompletedProcess[str]:
    plain = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"]
    words = [*plain, LAMINA, "--root", "/tmp", "unshare", "sh", "-c", script]
    return subprocess.run(
        words, input="typed\n", capture_output=True, text=True, check=False, timeout=30, cwd="/usr"
    )


def test_root_of_the_namespace_with_streams_directory_and_mounts() -> None:
    done = unshare("id -u; cat; pwd; mount -t tmpfs none /mnt && echo up; tr -s ' ' < /proc/self/uid_map")
    assert done.stdout.splitlines() == ["0", "typed", "/usr", "up", " 0 65533 1"], done.stderr
    assert " /mnt tmpfs" not in Path("/proc/self/mounts").read_text()


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -9 $$", 137)])
def test_its_status_is_the_programs(script: str, status: int) -> None:
    assert unshare(script).returncode == status


def test_what_is_not_there() -> None:
    done = subprocess.run([LAMINA, "unshare", "/nosuch"], capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert done.stderr.startswith("error: exec /nosuch")
