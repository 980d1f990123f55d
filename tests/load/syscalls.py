"""What operations cost the server in system calls: `python -m tests.load.syscalls` prints them as JSON.

Times flake, counts do not.  What carries requests (read and writev on the device) and what
depends on the scheduler is left out: what stays is what the union core asks of the layers.
Calls that are newer than strace have numbers for names.
"""

import collections
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.crash import trace
from tests.differential import calls, isolation
from tests.load import bed
from tests.support import mounts

FILES = 200
SIZE = 4096
LARGE = (128 << 10) + 1005  # one request of the readahead's size, and one of a part of a page
RARE = FILES // 20  # what comes with fewer operations is not theirs
TRANSPORT = {"read", "writev", "futex", "restart_syscall", "mprotect", "poll", "ppoll"}
_CALL = re.compile(r"^\d+\s+(\w+)\(")

Work = Callable[[Path], None]


def create(top: Path) -> None:
    """Make files of one write in the upper."""
    for number in range(FILES):
        with (top / f"new{number}").open("xb", buffering=0) as file:
            file.write(b"x" * 1024)


def unlink(top: Path) -> None:
    """Remove the files that create() made."""
    for number in range(FILES):
        (top / f"new{number}").unlink()


def change(top: Path) -> None:
    """Write to lower files."""
    for number in range(FILES):
        with (top / "change" / f"f{number}").open("r+b", buffering=0) as file:
            file.write(b"y")


def chmod(top: Path) -> None:
    """Change the mode of lower files."""
    for number in range(FILES):
        (top / "chmod" / f"f{number}").chmod(0o600)


def chown(top: Path) -> None:
    """Change the owner of lower files."""
    for number in range(FILES):
        os.chown(top / "chown" / f"f{number}", 1000, 1000)


def lookup(top: Path) -> None:
    """Look up lower files by name."""
    for number in range(FILES):
        (top / "lookup" / f"f{number}").lstat()


def walk(top: Path) -> None:
    """List directories with the attributes of what is in them."""
    for number in range(FILES):
        list(os.scandir(top / "walk" / f"d{number}"))


def miss(top: Path) -> None:
    """Look up names that are nowhere, in a directory that has been listed."""
    for number in range(FILES):
        assert not (top / "lookup" / f"none{number}").exists()


def read(top: Path) -> None:
    """Read large lower files whole; the last piece of each is small and ends within a page."""
    for number in range(FILES):
        assert (top / "read" / f"f{number}").read_bytes() == _large(number)


def append(top: Path) -> None:
    """Write to a new file whose mode was changed, as tar and rsync do."""
    with (top / "appended").open("xb", buffering=0) as file:
        os.fchmod(file.fileno(), 0o700)
        for _ in range(FILES):
            file.write(b"z" * 1024)


WORK: dict[str, Work] = {
    work.__name__: work for work in (create, unlink, change, chmod, chown, lookup, walk, miss, read, append)
}


def _large(number: int) -> bytes:
    """Return the contents of a large file: no two pages of any two are alike."""
    block = random.Random(number).randbytes(997)
    return (block * (LARGE // len(block) + 1))[:LARGE]


def make_lower(top: Path) -> None:
    """Make a directory of files for each operation, and one of directories."""
    for name in ("change", "chmod", "chown", "lookup"):
        (top / name).mkdir(parents=True)
        for number in range(FILES):
            (top / name / f"f{number}").write_bytes(b"x" * SIZE)
    (top / "read").mkdir()
    for number in range(FILES):
        (top / "read" / f"f{number}").write_bytes(_large(number))
    for number in range(FILES):
        directory = top / "walk" / f"d{number}"
        directory.mkdir(parents=True)
        for name in ("a", "b"):
            (directory / name).touch()


def count(server: int, work: Work, top: Path, log: Path) -> dict[str, float]:
    """Return the server's system calls in one of `FILES` operations, by name."""
    with trace.attached(server, ["-o", str(log), "-e", "signal=none"]):
        work(top)
    names = (_CALL.match(line) for line in log.read_text(errors="replace").splitlines())
    found = collections.Counter(name[1] for name in names if name and name[1] not in TRANSPORT)
    return {name: round(total / FILES, 2) for name, total in found.most_common() if total >= RARE}


def main() -> int:
    """Mount, count, print."""
    isolation.enter_own_mounts("tests.load.syscalls")
    mounts.ensure_fusectl()
    results = {}
    with tempfile.TemporaryDirectory(prefix="lamina-syscalls-", ignore_cleanup_errors=True) as name:
        base = Path(name)
        subprocess.run(["mount", "-t", "tmpfs", "syscalls", name], check=True, timeout=10)
        base.chmod(0o755)
        make_lower(base / "lower")
        with bed.opened("lamina", base, base / "lower") as opened:
            assert opened.server is not None
            for verb, work in WORK.items():
                if verb == "lookup":
                    calls.drop_caches()
                if verb == "miss":
                    os.listdir(opened.root / "lookup")
                results[verb] = count(opened.server, work, opened.root, base / "log")
    json.dump(results, sys.stdout, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
