"""Run the soak or the state machine in a process of its own: pytest itself never touches a mount."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCALE = float(os.environ.get("LAMINA_SOAK", "1"))  # multiplies the steps of every soak test


def soak(*arguments: str, steps: int, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run `python -m tests.differential.soak`; its status is the caller's to judge."""
    return module("tests.differential.soak", "--steps", str(int(steps * SCALE)), *arguments, seconds=seconds)


def module(name: str, *arguments: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a module of the tests within a time limit."""
    return subprocess.run(
        [sys.executable, "-m", name, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds * max(1.0, SCALE),
        check=False,
    )
