"""A small root and plans for it: what the launcher is tried with, without an image or a store."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamina_runtime.container import plan
from lamina_runtime.container.records import Op, Record

APPLETS = (
    "sh ls id mount cat ps hostname echo tty stty sleep dd head wc kill test touch readlink true false env "
    "grep"
)
CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETUID", "CAP_SETGID"]

# The rows of a plan come on standard input, one line of report goes to the descriptor named.
STARTER = """
import json, os, sys
from lamina_runtime.container import launch, records
report = os.fdopen(int(sys.argv[1]), "w")
os.set_inheritable(report.fileno(), False)
rows = json.load(sys.stdin)
rows = [records.Record(op, *(word.encode("latin-1") for word in words)) for op, words in rows]
try:
    started = launch.start(rows)
except launch.LaunchError as failure:
    print("refused", failure.status, failure, file=report)
    sys.exit(failure.status)
print("ready", started.pid, file=report)
report.close()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(started.monitor, 0)[1]))
"""


def make_root(path: Path) -> Path:
    """Make a root with busybox in it."""
    (path / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", path / "bin/busybox")
    for name in APPLETS.split():
        (path / "bin" / name).symlink_to("busybox")
    (path / "etc").mkdir()
    (path / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    return path


def spec(root: Path, *args: str, **process: object) -> dict[str, Any]:
    """Return a config.json as `docker run` would have it, in a user namespace of our own id."""
    kinds = ("user", "mount", "pid", "ipc", "uts", "network", "cgroup")
    sets = ("bounding", "permitted", "effective", "inheritable")
    pts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    return {
        "ociVersion": "1.2.0",
        "root": {"path": str(root)},
        "hostname": "box",
        "mounts": [
            {"destination": "/proc", "type": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "options": pts},
        ],
        "process": {
            "args": list(args),
            "cwd": "/",
            "env": ["PATH=/bin", "HOME=/"],
            "user": {"uid": 0, "gid": 0},
            "noNewPrivileges": True,
            "capabilities": dict.fromkeys(sets, CAPABILITIES),
            **process,
        },
        "linux": {
            "namespaces": [{"type": kind} for kind in kinds],
            "uidMappings": [{"containerID": 0, "hostID": os.getuid(), "size": 1}],
            "gidMappings": [{"containerID": 0, "hostID": os.getgid(), "size": 1}],
            "maskedPaths": ["/proc/acpi", "/proc/keys", "/sys/firmware"],
            "readonlyPaths": ["/proc/sys", "/proc/bus"],
        },
    }


class Running:
    """A container that was started: its report, and the process that waits for it."""

    def __init__(self, rows: list[Record]) -> None:
        """Start it; returns when the launcher has reported."""
        text = json.dumps([(int(row.op), [arg.decode("latin-1") for arg in row.arguments]) for row in rows])
        read_end, write_end = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-c", STARTER, str(write_end)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(write_end,),
        )
        os.close(write_end)
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.close()
        self.process.stdin = None
        with os.fdopen(read_end) as report:
            self.report = report.read().strip()

    @property
    def pid(self) -> int:
        """Return the first process's pid, as we see it."""
        word, _, number = self.report.partition(" ")
        assert word == "ready", self.report
        return int(number)

    def end(self, seconds: float = 20) -> Result:
        """Wait until it has ended."""
        out, err = self.process.communicate(timeout=seconds)
        return Result(self.report, out, err, self.process.returncode)


@dataclass(frozen=True)
class Result:
    """How a container ended."""

    report: str
    out: str
    err: str
    status: int


def run(config: dict[str, Any], *extra: Record) -> Result:
    """Run a container with our standard streams to its end."""
    return Running([*plan.container(config), *extra, Record(Op.STDIO)]).end()


def keep(config: dict[str, Any], directory: Path, *extra: Record) -> Running:
    """Start a container with a log and a socket to attach to."""
    kept = (Record(Op.DIRECTORY, str(directory)), Record(Op.LOG, str(directory / "log")))
    return Running([*plan.container(config), *kept, *extra])
