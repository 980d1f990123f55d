"""The scenarios of `python -m tests.load`: what lies on the lower, and who works on it."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.differential import stacks
from tests.differential.drivers import TRUSTED
from tests.differential.objects import pattern
from tests.load.bed import Bed, is_whiteout

Scenario = Callable[[Bed, float, int], None]
FILES = 3
FIO_SIZE = "6m"


def lower(base: Path, seed: int) -> Path:
    """Make the lower of all scenarios: a random tree, files for fsx and for fio."""
    built = stacks.draw(random.Random(seed), base, TRUSTED, 1)[1][0]
    tree = built / "tree"
    tree.mkdir()
    for child in list(built.iterdir()):
        if child != tree:
            child.rename(tree / child.name)
    for folder, _, files in os.walk(tree):
        for path in (f"{folder}/{name}" for name in files):
            if is_whiteout(path):
                os.unlink(path)  # without a directory below, the kernel would list it
    tree.chmod(0o777)
    for number in range(FILES):
        (built / f"file{number}").write_bytes(pattern(number, 150_000))
        os.link(built / f"file{number}", built / f"alias{number}")
    (built / "shared").write_bytes(bytes(400_000))
    (built / "fio").mkdir()
    _fio(built / "fio", "--rw=write", "--do_verify=0")
    return built


def _together(bed: Bed, commands: list[list[str]]) -> None:
    """Run commands at the same time; all must succeed."""
    running = [subprocess.Popen(c, stderr=subprocess.PIPE, text=True, errors="replace") for c in commands]
    bad = []
    for process in running:
        while True:
            try:
                _, words = process.communicate(timeout=5)
                break
            except subprocess.TimeoutExpired:
                bed.alive()
                bed.beat = time.monotonic()
        if process.returncode != 0:
            bad.append(f"status {process.returncode}: {words}")
    assert not bad, "\n".join(bad)


def _module(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", name, *words]


def fsx(bed: Bed, scale: float, seed: int) -> None:
    """Several processes, a file each: from the lower with two names, and new ones."""
    commands = []
    for number in range(FILES):
        (bed.root / f"new{number}").write_bytes(b"")
        common = ("--steps", str(int(900 * scale)))
        names = (str(bed.root / f"file{number}"), "--alias", str(bed.root / f"alias{number}"))
        commands.append(_module("tests.load.fsx", *names, "--seed", f"{seed + number}", *common))
        name = str(bed.root / f"new{number}")
        commands.append(_module("tests.load.fsx", name, "--seed", f"{seed + number + 100}", *common))
    _together(bed, commands)


def stripes(bed: Bed, scale: float, seed: int) -> None:
    """Several processes that share one file of the lower."""
    path, steps = str(bed.root / "shared"), str(int(1500 * scale))
    _together(
        bed,
        [
            _module("tests.load.fsx", path, "--stripe", f"{n}/4", "--seed", str(seed + n), "--steps", steps)
            for n in range(4)
        ],
    )


def stress(bed: Bed, scale: float, seed: int) -> None:
    """Several processes with several threads on the same names."""
    root, steps = str(bed.root / "tree"), str(int(500 * scale))
    _together(
        bed,
        [_module("tests.load.stress", root, "--seed", str(seed + n), "--steps", steps) for n in range(4)],
    )


def fio(bed: Bed, scale: float, seed: int) -> None:
    """Verify what lies on the lower, then write over it and anew, by several engines."""
    lower_files, new = bed.root / "fio", bed.root / "fio-new"
    new.mkdir()
    _fio(lower_files, "--rw=write", "--verify_only=1")
    for engine in ("psync", "mmap", "pvsync2", "libaio"):
        for folder in (lower_files, new):
            options = [f"--ioengine={engine}", "--rw=randwrite", f"--randseed={seed}", "--do_verify=1"]
            options += ["--iodepth=8", "--direct=1"] if engine == "libaio" else []
            _fio(folder, *options, "--bsrange=4k-64k", f"--loops={max(1, int(scale))}")
            bed.beat = time.monotonic()
    _fio(new, "--rw=randrw", f"--randseed={seed}", "--do_verify=1", "--fsync=16", "--bs=4k")


def _fio(folder: Path, *options: str) -> None:
    """Run fio on two files `job.0.0` and `job.1.0` in `folder`."""
    words = ["fio", "--name=job", f"--directory={folder}", f"--size={FIO_SIZE}", "--numjobs=2", "--thread"]
    words += ["--verify=crc32c", "--verify_fatal=1", "--minimal", "--allow_file_create=1", *options]
    if not any(option.startswith("--bs") for option in options):
        words.append("--bs=32k")
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60, cwd="/tmp")
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-500:]}{done.stderr[-2000:]}"


SCENARIOS: dict[str, Scenario] = {"fsx": fsx, "stripes": stripes, "stress": stress, "fio": fio}
