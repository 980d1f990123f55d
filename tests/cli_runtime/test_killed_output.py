"""A file that a command writes when it is told to end: nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli_runtime.conftest import Lamina


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
@pytest.mark.parametrize("lamina", ["root"], indirect=True)
def test_a_save_that_is_ended_leaves_nothing(loaded: Lamina, number: int, status: int) -> None:
    """The save waits for a layer's tar, which a pipe stands for, until the signal comes."""
    target = loaded.top / "out"
    target.mkdir()
    for tar in (loaded.root / "store/devices").iterdir():
        tar.unlink()
        os.mkfifo(tar)
    for blob in (loaded.root / "store/blobs/sha256").iterdir():
        if blob.stat().st_size > 3000:
            blob.unlink()
    command = subprocess.Popen(loaded.words("save", "-o", target / "x.tar", "one"), cwd=loaded.top)
    try:
        _wait_for_file(target, command)
        command.send_signal(number)
        assert command.wait(timeout=30) == status
    finally:
        command.kill()
        command.wait()
    assert not list(target.iterdir())
    assert not list((loaded.root / "store/leases").iterdir())


def _wait_for_file(folder: Path, command: subprocess.Popen[bytes]) -> None:
    while not list(folder.iterdir()):
        assert command.poll() is None, "it ended by itself"
