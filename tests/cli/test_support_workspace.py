"""Directories of sessions that were killed go with what is mounted in them; those of living ones stay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import mounts, workspace

KILLED = """
import os, signal, subprocess, sys
from pathlib import Path
from tests.support import workspace
top = workspace.make(Path(sys.argv[1]))
subprocess.run(["mount", "-t", "tmpfs", "lamina-test", str(top)], check=True)
(top / "below").mkdir()
subprocess.run(["mount", "-t", "tmpfs", "below", str(top / "below")], check=True)
print(top, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.root
def test_what_a_killed_session_left_is_cleared_up(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    left = Path(ended.stdout.strip())
    own = workspace.make(tmp_path)
    other = tmp_path / "lamina-test-1-x-y"
    other.mkdir()
    assert [entry.path for entry in mounts.below(tmp_path)] == [str(left), str(left / "below")]
    assert workspace.clear_stale(tmp_path) == [left]
    assert mounts.below(tmp_path) == []
    assert sorted(tmp_path.iterdir()) == sorted([own, other])
