"""A file that is being written when its writer is told to end: nothing is left of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

WRITER = """
import sys, time
from lamina_runtime.engine import output_file
with output_file.created(sys.argv[1], None) as file:
    file.write(b"half")
    print("ready", flush=True)
    while True:
        time.sleep(0.02)
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_writer_that_is_ended_leaves_nothing(tmp_path: Path, number: int, status: int) -> None:
    words = [sys.executable, "-c", WRITER, str(tmp_path / "x.tar")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        assert list(tmp_path.iterdir())
        writer.send_signal(number)
        assert writer.wait(timeout=30) == status
    assert not list(tmp_path.iterdir())
