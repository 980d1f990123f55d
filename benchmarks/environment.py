"""The machine and the programs that a measurement was taken with."""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import subprocess
from pathlib import Path

from benchmarks import mounting


def describe(command: str) -> dict[str, object]:
    """Return what one needs to know to take the measurement again."""
    return {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": _first("/proc/cpuinfo", "model name"),
        "cpus": os.cpu_count(),
        "memory_mib": int(_first("/proc/meminfo", "MemTotal").split()[0]) >> 10,
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "lamina": _output([str(mounting.DRIVER), "--version"]),
        "commit": _output(["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]),
        "fuse-overlayfs": _output(["fuse-overlayfs", "--version"], "fuse-overlayfs"),
    }


def _first(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _output(argv: list[str], word: str = "") -> str:
    """Return the first line that a command prints, of those that have a word."""
    if shutil.which(argv[0]) is None:
        return "missing"
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    lines = [line for line in (done.stdout or done.stderr).splitlines() if word in line]
    return lines[0] if lines else "unknown"
