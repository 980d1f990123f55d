"""strace on a running server: record the calls that change something, or meddle with one."""

import contextlib
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ATTACH_SECONDS = 10.0
# What changes a layer.  Plain opens, reads and stats are not instants: nothing differs around them.
CHANGING = (
    "renameat2,renameat,rename,linkat,unlinkat,mkdirat,mknodat,symlinkat,fchownat,fchown,lchown,fchmodat,"
    "fchmod,utimensat,setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,fremovexattr,ftruncate,"
    "fallocate,copy_file_range,pwrite64,pwritev,sendfile,splice,fsync,fdatasync,syncfs"
)
# Failing these too must reach the caller or be made up for.
READING = (
    "openat,openat2,pread64,getdents64,getxattr,lgetxattr,fgetxattr,llistxattr,flistxattr,"
    "readlinkat,statx,newfstatat"
)
_CALL = re.compile(r"^(?:\d+\s+)?(\w+)\(")


@contextlib.contextmanager
def attached(pid: int, options: list[str]) -> Iterator[None]:
    """Have strace follow all threads of `pid` while the body runs."""
    words = ["strace", "-f", "-p", str(pid), "-s", "0", *options]
    strace = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        assert strace.stderr is not None
        line = strace.stderr.readline()
        if "attached" not in line:
            raise RuntimeError(f"{' '.join(words)}: {line}")
        yield
    finally:
        strace.terminate()
        try:
            strace.communicate(timeout=ATTACH_SECONDS)
        except subprocess.TimeoutExpired:  # it waits for a thread to stop; the kernel lets go of all
            strace.kill()
            strace.communicate(timeout=ATTACH_SECONDS)


@contextlib.contextmanager
def recording(pid: int, log: Path, calls: str = CHANGING) -> Iterator[None]:
    """Record calls to `log`; read it with `instants`."""
    with attached(pid, ["-o", str(log), "-e", f"trace={calls}", "-e", "signal=none"]):
        yield


def instants(log: Path) -> list[str]:
    """Name every recorded call: `renameat2#1`, `renameat2#2`, …

    Calls too young for strace to know are shown by number, asked or not, and cannot be meddled
    with; the driver "lamina-old-calls" uses none.
    """
    seen: Counter[str] = Counter()
    names = []
    for line in log.read_text(errors="replace").splitlines():
        found = _CALL.match(line)
        if found and not found[1].startswith("syscall_"):
            seen[found[1]] += 1
            names.append(f"{found[1]}#{seen[found[1]]}")
    return names


@contextlib.contextmanager
def meddling(pid: int, instant: str, how: str) -> Iterator[None]:
    """Kill the process on entering the named call (`how` "kill"), or have the call fail with `how`."""
    call, number = instant.split("#")
    effect = "signal=SIGKILL" if how == "kill" else f"error={how}"
    inject = f"inject={call}:{effect}:when={number}"
    with attached(pid, ["-o", "/dev/null", "-e", f"trace={call}", "-e", inject]):
        yield
