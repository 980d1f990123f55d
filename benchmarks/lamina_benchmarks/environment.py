"""The machine and the programs that a measurement was taken with."""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from lamina_benchmarks import cache, fixtures, mounted, mounting

PROGRAMS = {
    "fuse-overlayfs": ("fuse-overlayfs", "--version"),
    "git": ("git", "--version"),
    "dpkg": ("dpkg", "--version"),
    "gcc": ("gcc", "--version"),
}
SETTINGS = (
    "/proc/sys/kernel/sched_autogroup_enabled",
    "/sys/module/fuse/parameters/enable_uring",
    "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
)


def describe(command: str, *, rootless: bool) -> dict[str, str | int | float]:
    """Return what one needs to know to take the measurement again."""
    facts: dict[str, str | int | float] = {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "user": "plain, in a user namespace" if rootless else "root",
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": _first("/proc/cpuinfo", "model name"),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_mib": int(_first("/proc/meminfo", "MemTotal").split()[0]) >> 10,
        "load": os.getloadavg()[0],
        "uppers": "tmpfs, but for rows that name another file system",
        "lowers": f"{_file_system(cache.directory())}, pages in memory",
        "tree": "Debian, by mmdebstrap" if fixtures.has_debian() else "files of this machine's /usr",
        "distribution": _first("/etc/os-release", "PRETTY_NAME", "=").strip('"'),
        "python": platform.python_version(),
        "lamina": _version(),
        "driver": _output([str(mounting.DRIVER), "--version"]),
    }
    for name, argv in PROGRAMS.items():
        facts[name] = _output(list(argv), name if name == "fuse-overlayfs" else "")
    for path in map(Path, SETTINGS):
        if path.exists():
            facts[path.name] = path.read_text(encoding="ascii").strip()
    return facts


def _version() -> str:
    try:
        return metadata.version("lamina")
    except metadata.PackageNotFoundError:
        return "not installed"


def _file_system(path: Path) -> str:
    """Return the type of the file system that a directory is on."""
    found, longest = "unknown", -1
    for entry in mounted.entries():
        if path.is_relative_to(entry.at) and len(entry.at.parts) >= longest:
            found, longest = entry.kind, len(entry.at.parts)
    return found


def _first(path: str, name: str, separator: str = ":") -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    for line in lines:
        key, _, value = line.partition(separator)
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
