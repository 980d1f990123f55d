"""A mount's server, seen from outside: its process, its costs, its counters."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lamina_benchmarks import client

OPCODES = {
    1: "LOOKUP", 2: "FORGET", 3: "GETATTR", 4: "SETATTR", 5: "READLINK", 6: "SYMLINK", 8: "MKNOD",
    9: "MKDIR", 10: "UNLINK", 11: "RMDIR", 12: "RENAME", 13: "LINK", 14: "OPEN", 15: "READ",
    16: "WRITE", 17: "STATFS", 18: "RELEASE", 20: "FSYNC", 21: "SETXATTR", 22: "GETXATTR",
    23: "LISTXATTR", 24: "REMOVEXATTR", 25: "FLUSH", 26: "INIT", 27: "OPENDIR", 28: "READDIR",
    29: "RELEASEDIR", 30: "FSYNCDIR", 34: "ACCESS", 35: "CREATE", 36: "INTERRUPT", 38: "DESTROY",
    39: "IOCTL", 42: "BATCH_FORGET", 43: "FALLOCATE", 44: "READDIRPLUS", 45: "RENAME2",
    46: "LSEEK", 47: "COPY_FILE_RANGE", 51: "TMPFILE", 52: "STATX",
}  # fmt: skip
STATS = "user.lamina.stats"
TRACER_SECONDS = 20


def find(argument: str) -> int | None:
    """Return the process that was called with a word of its command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if argument.encode() in words and words[0] != b"nsenter":
                return int(entry.name)
    return None


def cpu_ns(pid: int) -> int:
    """Return the processor time that all threads of a process took."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total


def resident_kib(pid: int) -> int:
    """Return the memory of a process that is in use."""
    return _status_kib(pid, "VmRSS")


def ended(pid: int, seconds: float) -> bool:
    """Wait for a process that is not our child."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return True
        if words[0] == "Z":  # init takes its time
            return True
        time.sleep(0.002)
    return False


def high_kib(pid: int) -> int:
    """Return the most memory that a process ever had in use."""
    return _status_kib(pid, "VmHWM")


def proportional_kib(pid: int) -> int:
    """Return the memory of a process with its share of what others use too; 0 where we may not know."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def requests(at: Path, prefix: list[str]) -> dict[str, int]:
    """Return how many requests a mount has answered, by opcode; asked as its clients do."""
    text = client.run([*prefix, str(client.build()), "getxattr", str(at), STATS]).output
    by_opcode: dict[str, int] = json.loads(text).get("server", {}).get("by_opcode", {})
    return {OPCODES.get(int(code), code): count for code, count in by_opcode.items()}


@contextlib.contextmanager
def counted(pid: int, calls: dict[str, int]) -> Iterator[None]:
    """Count the system calls of a process, which makes it far slower, into `calls`."""
    if shutil.which("strace") is None:
        raise client.FailedError("strace is not installed")
    with tempfile.NamedTemporaryFile("r", encoding="ascii") as report:
        words = ["strace", "-f", "-qq", "-c", "-U", "calls,name", "-o", report.name, "-p", str(pid)]
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tracer:
            try:
                _traced(pid, tracer)
                yield
            finally:
                tracer.send_signal(signal.SIGINT)
                tracer.wait(TRACER_SECONDS)
        for line in report.read().splitlines():
            words = line.split()
            if len(words) == 2 and words[0].isdigit() and words[1] != "total":
                calls[words[1]] = int(words[0])


def _traced(pid: int, tracer: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + TRACER_SECONDS
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    while any("TracerPid:\t0\n" in (task / "status").read_text() for task in tasks):
        if tracer.poll() is not None or time.monotonic() > until:
            raise client.FailedError(f"strace cannot attach to {pid}")
        time.sleep(0.005)


def difference(after: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """Return what was counted in between, without the question itself."""
    grown = {name: count - before.get(name, 0) for name, count in after.items()}
    grown["GETXATTR"] = grown.get("GETXATTR", 0) - 1
    return {name: count for name, count in sorted(grown.items(), key=lambda item: -item[1]) if count > 0}


def _status_kib(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0
