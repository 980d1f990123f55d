"""Mount a column's union for one sample, the way its users do: a command that returns when it is usable."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lamina_benchmarks import client, installed, server
from lamina_benchmarks.columns import Column

SECONDS = 30
LONGEST = 3500
NAMESPACE = ["unshare", "--user", "--mount", "--propagation=private"]
DRIVER = installed.driver()
URING_PARAMETER = Path("/sys/module/fuse/parameters/enable_uring")


@dataclass(frozen=True, slots=True)
class Union:
    """A union that is mounted; 'prefix' goes before the command line of its clients."""

    at: Path
    prefix: list[str]
    pid: int | None
    start_ns: int


def missing(column: Column) -> str | None:
    """Return why a column cannot be had here, or None."""
    if column.kind == "fuse-overlayfs" and shutil.which("fuse-overlayfs") is None:
        return "fuse-overlayfs is not installed"
    if column.kind == "lamina" and not DRIVER.exists():
        return f"{DRIVER} is not installed"
    if column.kind != "overlay" and column.kind != "bare" and not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse cannot be opened"
    if "io_uring" in column.options and not _offers_uring():
        return f"the kernel does not offer FUSE over io_uring (root enables it in {URING_PARAMETER})"
    return None


def _offers_uring() -> bool:
    try:
        return URING_PARAMETER.read_text().strip() == "Y"
    except OSError:
        return False


def command(column: Column, lowers: Sequence[Path], top: Path, further: Sequence[str] = ()) -> list[str]:
    """Return the command line that mounts a column at m of the directory `top`, with further options."""
    names = ":".join(map(str, lowers))
    start: list[str] = []
    if column.kind == "overlay" and len(names) > LONGEST:
        # mount(2) takes one page of options: the layers by names relative to where they all lie.
        start = ["env", "-C", str(lowers[0].parent)]
        names = ":".join(path.name for path in lowers)
    options = ",".join([f"lowerdir={names},upperdir={top}/u,workdir={top}/w", *column.options, *further])
    if column.kind == "overlay":
        return [*start, "mount", "-t", "overlay", "overlay", "-o", options, f"{top}/m"]
    program = str(DRIVER) if column.kind == "lamina" else "fuse-overlayfs"
    return [program, "-o", options, f"{top}/m"]


@contextlib.contextmanager
def mounted(column: Column, argv: list[str], at: Path, pin: list[str]) -> Iterator[Union]:
    """Mount, and unmount when the sample is taken; the server's end is waited for."""
    with contextlib.ExitStack() as stack:
        prefix = [*stack.enter_context(_namespace()), *pin] if column.namespace else pin
        start_ns = client.run([*prefix, str(client.build()), "run", *argv]).ns
        pid = server.find(str(at)) if column.kind != "overlay" else None
        try:
            yield Union(at, prefix, pid, start_ns)
        finally:
            _unmount(at, prefix, pid)


@contextlib.contextmanager
def _namespace() -> Iterator[list[str]]:
    """Hold open a user namespace with all ids and none of the machine's rights; give words to enter it."""
    words = [*NAMESPACE, "sh", "-c", "echo; exec sleep infinity"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            holder.stdout.read(1)
            for name in ("uid_map", "gid_map"):
                Path(f"/proc/{holder.pid}/{name}").write_text("0 0 65536\n", encoding="ascii")
            yield ["nsenter", "--preserve-credentials", "-U", "-m", "-t", str(holder.pid), "--"]
        finally:
            holder.kill()


def _unmount(at: Path, prefix: list[str], pid: int | None) -> None:
    for _ in range(10):
        done = subprocess.run([*prefix, "umount", str(at)], timeout=SECONDS, capture_output=True, check=False)
        if done.returncode == 0:
            break
        time.sleep(0.05)
    else:
        subprocess.run([*prefix, "umount", "-l", str(at)], timeout=SECONDS, capture_output=True, check=False)
    if pid is not None and not server.ended(pid, SECONDS):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        raise client.FailedError(f"the server of {at} did not end")
