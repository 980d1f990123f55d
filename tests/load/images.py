"""What images cost beside the peers: `python -m tests.load.images ROW... --sample a --rounds 3` as root.

    load     docker-archive, plain and gzip, into an empty store; `again`: the image is there already
    pull     from docker-registry on the loopback interface into an empty store
    mount    from the command to the first listing of the root directory
    cold     walk and read every file of a mount with nothing in memory; lamina's also by the kernel's EROFS
    size     bytes and inodes of a, b and c in one store, before and after `store dedup`
    listing  images, image ls -q, ps -a, version
    run      run --rm IMAGE true; exec IMAGE true in one that runs; commit and diff of one small change

Rows interleave the targets, sample by sample.  Peak memory is the largest process's (ru_maxrss).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.differential import calls
from tests.support import mounts
from tests.support.registries import docker_registry
from tests.support.samples import Sample, sample

SECONDS = 400
LAMINA = Path(sys.executable).with_name("lamina")
NAMES = ("a", "b", "c")
RUN = ("--network=host",)
RUNC = (
    "--runtime=runc",
    "--ulimit=nofile=1024:4096",
    "--ulimit=nproc=4096:4096",
)  # podman raises its own limits
TARGETS = ("lamina", "podman", "podman-fuse", "umoci")
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{top}/graph"
runroot = "{top}/run"
{program}
"""
_PROGRAM = '[storage.options.overlay]\nmount_program = "/usr/bin/fuse-overlayfs"'


@dataclass(frozen=True)
class Target:
    """A tool with a place of its own."""

    name: str
    top: Path

    @property
    def lamina(self) -> bool:
        return self.name == "lamina"

    def words(self, *words: str) -> list[str]:
        return [str(LAMINA), *words] if self.lamina else ["podman", "--cgroup-manager=cgroupfs", *words]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.top),
            "LAMINA_ROOT": str(self.top / "root"),
            "TMPDIR": "/var/tmp",
            "CONTAINERS_STORAGE_CONF": str(self.top / "storage.conf"),
        }

    def empty(self) -> None:
        """Throw its images away."""
        for entry in reversed(mounts.below(self.top)):
            mounts.detach(entry)
        shutil.rmtree(self.top, ignore_errors=True)
        self.top.mkdir(parents=True)
        program = "" if self.name == "podman" else _PROGRAM
        (self.top / "storage.conf").write_text(_STORAGE.format(top=self.top, program=program))

    def run(self, *words: str) -> tuple[float, float]:
        return measured(self.words(*words), self.environment)

    def disk(self) -> tuple[int, int]:
        """Return the bytes and inodes that its images take."""
        seen = {}
        for folder, _, files in os.walk(self.top):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                found = os.lstat(path)
                seen[found.st_dev, found.st_ino] = found.st_blocks * 512
        return sum(seen.values()), len(seen)


def measured(argv: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run a command; return its seconds and the peak memory of its largest process in MB."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        assert process.returncode == 0, f"{argv}: {log.read().decode(errors='replace')}"
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


class Table:
    """Samples by row and target."""

    def __init__(self) -> None:
        self.cells: dict[str, dict[str, list[tuple[float, float]]]] = {}

    def add(self, row: str, target: str, cell: tuple[float, float]) -> None:
        self.cells.setdefault(row, {}).setdefault(target, []).append(cell)
        print(f"  {row:24} {target:16} {cell[0]:8.3f} s {cell[1]:7.1f} MB", file=sys.stderr, flush=True)

    def show(self) -> None:
        load = " ".join(f"{value:.1f}" for value in os.getloadavg())
        print(f"load {load}; medians (least to greatest), peak memory")
        for row, targets in self.cells.items():
            for target, cells in targets.items():
                times = [seconds for seconds, _ in cells]
                peak = max(memory for _, memory in cells)
                print(
                    f"{row:24} {target:16} {statistics.median(times):8.3f} s "
                    f"({min(times):.3f} to {max(times):.3f}) {peak:7.1f} MB"
                )


class Bench:
    """The targets and what they work on."""

    def __init__(self, top: Path, found: Sample, options: argparse.Namespace) -> None:
        self.top, self.sample, self.rounds = top, found, options.rounds
        names = ("lamina", "podman", "podman-fuse")
        self.targets = [Target(name, top / name) for name in names if name in options.targets]
        self.umoci = "umoci" in options.targets
        self.place = top / "mnt"
        self.place.mkdir()
        self.table = Table()

    def load(self) -> None:
        """Load from plain and gzip archives, and what is there already; umoci unpacks the layout."""
        packed = self.top / "archive.tar.gz"
        with packed.open("wb") as out:
            subprocess.run(["gzip", "-1c", str(self.sample.archive)], stdout=out, check=True, timeout=SECONDS)
        for _ in range(self.rounds):
            for target in self.targets:
                if target.lamina:  # podman 4.3 takes a gzip docker-archive for a broken tar
                    target.empty()
                    self.table.add(
                        f"load gzip {self.sample.name}", target.name, target.run("load", "-i", str(packed))
                    )
                target.empty()
                loaded = target.run("load", "-i", str(self.sample.archive))
                self.table.add(f"load {self.sample.name}", target.name, loaded)
                again = target.run("load", "-i", str(self.sample.archive))
                self.table.add(f"load again {self.sample.name}", target.name, again)
            if self.umoci:
                unpacked = self.top / "unpacked"
                argv = [
                    "umoci",
                    "unpack",
                    "--image",
                    f"{self.sample.layout}:{self.sample.name}",
                    str(unpacked),
                ]
                self.table.add(f"load {self.sample.name}", "umoci unpack", measured(argv, dict(os.environ)))
                shutil.rmtree(unpacked)

    def pull(self) -> None:
        """Pull through HTTP."""
        with docker_registry(self.top / "registry") as registry:
            name = f"{registry.host}/sample/{self.sample.name}:1"
            source = f"oci:{self.sample.layout}:{self.sample.name}"
            argv = [
                "skopeo",
                "copy",
                "--insecure-policy",
                "--dest-tls-verify=false",
                source,
                f"docker://{name}",
            ]
            subprocess.run(argv, check=True, timeout=SECONDS, capture_output=True)
            for _ in range(self.rounds):
                for target in self.targets:
                    target.empty()
                    taken = target.run("pull", "--tls-verify=false", name)
                    self.table.add(f"pull {self.sample.name}", target.name, taken)
                    taken = target.run("pull", "--tls-verify=false", name)
                    self.table.add(f"pull again {self.sample.name}", target.name, taken)

    def mount(self) -> None:
        """Mount and list."""
        for target in self.targets:
            target.empty()
            target.run("load", "-i", str(self.sample.archive))
        for _ in range(self.rounds):
            for target in self.targets:
                place = self.place
                if target.lamina:
                    words = f"{LAMINA} mount {self.sample.reference} {place} && ls {place}"
                else:
                    words = f"ls $(podman image mount {self.sample.reference})"
                taken = measured(["sh", "-ec", words], target.environment)
                self.table.add(f"mount {self.sample.name}", target.name, taken)
                if target.lamina:
                    target.run("unmount", str(place))
                else:
                    target.run("image", "unmount", self.sample.reference)

    def cold(self) -> None:
        """Walk and read what is mounted, the page cache dropped."""
        for target in self.targets:
            target.empty()
            target.run("load", "-i", str(self.sample.archive))
        for _ in range(self.rounds):
            for target in self.targets:
                for way in ((), ("--kernel",)) if target.lamina else ((),):
                    self._cold(target, way)

    def _cold(self, target: Target, way: tuple[str, ...]) -> None:
        name, reference = " ".join((target.name, *way)), self.sample.reference
        place = str(self.place)
        if target.lamina:
            target.run("mount", *way, reference, place)
        else:
            argv = target.words("image", "mount", reference)
            done = subprocess.run(argv, env=target.environment, capture_output=True, text=True, check=True)
            place = done.stdout.strip()
        for row, command in (("walk", 'find "$0" -printf %s'), ("read", 'tar -cf - -C "$0" . | cat')):
            os.sync()
            Path(calls.DROP_CACHES).write_text("3\n")
            taken = measured(["sh", "-ec", command, place], target.environment)
            self.table.add(f"cold {row} {self.sample.name}", name, taken)
        target.run(*(("unmount", place) if target.lamina else ("image", "unmount", reference)))

    def size(self) -> None:
        """Load all samples into one store and weigh it."""
        for target in self.targets:
            target.empty()
            for name in NAMES:
                self.table.add(
                    f"load {name} on others", target.name, target.run("load", "-i", str(sample(name).archive))
                )
                self._weigh(target, f"with {name}")
            if target.lamina:
                self.table.add("store dedup", target.name, target.run("store", "dedup"))
                self._weigh(target, "after dedup")

    def _weigh(self, target: Target, when: str) -> None:
        size, inodes = target.disk()
        print(f"size {when:12} {target.name:16} {size / 1e6:8.0f} MB {inodes:8} inodes", flush=True)

    def listing(self) -> None:
        """What answers at once."""
        for target in self.targets:
            target.empty()
            for name in ("tiny", self.sample.name):
                target.run("load", "-i", str(sample(name).archive))
        python = ["/usr/bin/python3", "-I", "-S", "-c", "pass"]
        for _ in range(self.rounds):
            self.table.add("start", "python", measured(python, dict(os.environ)))
            for target in self.targets:
                for words in ("images", "image ls -q", "ps -a", "version"):
                    self.table.add(words, target.name, target.run(*words.split()))

    def run(self) -> None:
        """Start containers on the host's network, run a program in one, and look at what one changed."""
        image, name = self.sample.reference, self.sample.name
        for target in self.targets:
            target.empty()
            target.run("load", "-i", str(self.sample.archive))
            host = RUN if target.lamina else (*RUN, *RUNC)
            target.run("run", "-d", "--name", "steady", *host, image, "sleep", "1000")
            target.run("run", "--name", "changed", *host, image, "sh", "-c", "echo new > /etc/new")
        for number in range(self.rounds):
            for target in self.targets:
                host = RUN if target.lamina else (*RUN, *RUNC)
                for row, words in (
                    (f"run --rm {name}", ("run", "--rm", *host, image, "true")),
                    (f"exec {name}", ("exec", "steady", "true")),
                    (f"commit {name}", ("commit", "-q", "changed", f"made:{number}")),
                    (f"diff {name}", ("diff", "changed")),
                ):
                    quiet = tuple(word for word in words if word != "-q" or not target.lamina)
                    self.table.add(row, target.name, target.run(*quiet))
        for target in self.targets:
            target.run("rm", "-f", "steady", "changed")


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """Make a place on the disk; take away what is mounted there, then it."""
    top = Path(tempfile.mkdtemp(prefix="lamina-images-", dir="/var/tmp"))
    try:
        yield top
    finally:
        for entry in reversed(mounts.below(top)):
            mounts.detach(entry)
        shutil.rmtree(top, ignore_errors=True)


def main() -> int:
    """Measure the rows that were named."""
    parser = argparse.ArgumentParser(prog="tests.load.images", description=__doc__)
    parser.add_argument(
        "rows", nargs="+", choices=("load", "pull", "mount", "cold", "size", "listing", "run")
    )
    parser.add_argument("--sample", choices=("tiny", *NAMES), default="a")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--targets", type=lambda text: text.split(","), default=["lamina", "podman", "podman-fuse", "umoci"]
    )
    options = parser.parse_args()
    if options.sample == "tiny" and "run" in options.rows:
        parser.error("tiny has no programs to run")
    with workspace() as top:
        bench = Bench(top, sample(options.sample), options)
        rows: dict[str, Callable[[], None]] = {
            "load": bench.load, "pull": bench.pull, "mount": bench.mount, "cold": bench.cold,
            "size": bench.size, "listing": bench.listing, "run": bench.run,
        }  # fmt: skip
        for row in options.rows:
            rows[row]()
        bench.table.show()
    return 0


if __name__ == "__main__":
    sys.exit(main())
