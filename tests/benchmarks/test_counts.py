"""What an operation costs in requests, held: counts do not flake where times do.

Each case does one thing COUNT times through a mount of the driver's own command, as clients do,
and compares what the server answered with a bound for each operation.  FORGET is not counted: it
comes when the kernel pleases.  SLACK is for what a whole run costs once (a directory's lookup,
the one OPENDIR that is answered with ENOSYS).  Whether a device or a ring carries the requests
changes nothing.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from lamina_benchmarks import client, columns, mounting, server

from tests.support import capabilities

COUNT = 200
FOLDERS = 20
SLACK = 12
UNCOUNTED = ("FORGET", "BATCH_FORGET")
COLUMNS = ("lamina", "lamina-passthrough", "lamina-userns")
URING = "lamina-io-uring"  # as root by default, whatever carries the requests
OVER_URING = ("create", "unlink")
Words = tuple[str, ...]

pytestmark = [pytest.mark.root, pytest.mark.fuse, pytest.mark.userns, pytest.mark.requires("driver")]


@dataclass(frozen=True)
class Case:
    """A piece of work on {m}, what goes before it, and the most requests an operation may cost."""

    work: Words
    most: tuple[float, float, float]  # in the order of COLUMNS
    before: tuple[Words, ...] = ()
    operations: int = COUNT


CREATE = ("create", "{m}", str(COUNT), "1024")
WALK, READ = ("walk", "{m}"), ("read", "{m}")
UNTAR = ("run", "tar", "-xf", "{a}", "-C", "{m}")
ENTRIES = FOLDERS * (COUNT // FOLDERS + 1)


def each(verb: str, where: str = "{m}/d") -> Words:
    return ("each", verb, where, str(COUNT))


CASES = {
    "create": Case(CREATE, (4, 5, 4)),
    "unlink": Case(each("unlink", "{m}"), (2, 2, 2), (CREATE,)),
    "unlink-lower": Case(each("unlink"), (3, 3, 3)),
    "rename": Case(each("rename", "{m}"), (3, 3, 3), (CREATE,)),
    "mkdir": Case(each("mkdir", "{m}"), (3, 3, 3)),
    "lookup-cold": Case(each("lookup"), (1, 1, 1)),
    "lookup-warm": Case(each("lookup"), (0, 0, 0), (each("lookup"),)),
    "walk-cold": Case(WALK, (0.2, 0.2, 0.2), operations=ENTRIES),
    "walk-warm": Case(WALK, (0, 0, 0), (WALK, WALK), operations=ENTRIES),
    "read-cold": Case(READ, (1.2, 2.2, 1.2)),
    "read-warm": Case(READ, (0, 3, 0), (READ, READ)),
    "copy-up": Case(each("change"), (3, 4, 3)),
    "chmod": Case(each("chmod"), (2, 2, 2)),
    "chown": Case(each("chown"), (3, 3, 3)),
    "untar": Case(UNTAR, (8.2, 8.8, 8.2), operations=ENTRIES),
    "write": Case(("seqwrite", "{m}/new", str(16 << 20)), (1, 0, 1), operations=128),
}


@pytest.fixture(scope="module")
def lower(session_top: Path) -> Path:
    """A lower with one directory of COUNT files, and as many spread over FOLDERS directories below "t"."""
    top = session_top / "counts"
    (top / "d").mkdir(parents=True)
    _fill(top / "d", COUNT)
    for number in range(FOLDERS):
        folder = top / "t" / f"{number:02}"
        folder.mkdir(parents=True)
        _fill(folder, COUNT // FOLDERS)
    return top


def _fill(folder: Path, count: int) -> None:
    client.run([str(client.build()), "create", str(folder), str(count), "4096"])


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    for name in ("u", "w", "m"):
        (tmp_path / name).mkdir()
    tmp_path.chmod(0o755)
    return tmp_path


@pytest.fixture(scope="module")
def archive(lower: Path) -> Path:
    """A tar of what is below "t"."""
    path = lower.with_name("counts.tar")
    subprocess.run(["tar", "-C", str(lower / "t"), "-cf", str(path), "."], check=True, timeout=20)
    return path


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("name", CASES)
def test_an_operation_costs_no_more_requests(
    name: str, column: str, lower: Path, layers: Path, archive: Path
) -> None:
    held(name, column, COLUMNS.index(column), lower, layers, archive)


@pytest.mark.requires("fuse_uring")
@pytest.mark.parametrize("name", OVER_URING)
def test_it_costs_the_same_over_io_uring(name: str, lower: Path, layers: Path, archive: Path) -> None:
    with capabilities.fuse_uring_enabled():
        held(name, URING, COLUMNS.index("lamina"), lower, layers, archive)


def held(name: str, column: str, bound: int, lower: Path, layers: Path, archive: Path) -> None:
    """Mount a column, do a case's work, and compare what the server answered with the bound."""
    case = CASES[name]
    lowers = [lower / "t"] if case.work in (WALK, READ) else [lower]
    target = columns.table(rootless=False)[column]
    at = layers / "m"
    program = str(client.build())

    def words(work: Words, prefix: list[str]) -> list[str]:
        return [*prefix, program, *(word.format(m=at, a=archive) for word in work)]

    with mounting.mounted(target, mounting.command(target, lowers, layers), at, []) as union:
        assert has_ring(union.pid) == (column == URING)  # no falling back
        for work in case.before:
            client.run(words(work, union.prefix))
        before = server.requests(at, union.prefix)
        client.run(words(case.work, union.prefix))
        spent = server.difference(server.requests(at, union.prefix), before)
    counted = {opcode: count for opcode, count in spent.items() if opcode not in UNCOUNTED}
    total, most = sum(counted.values()), case.most[bound]
    assert total <= most * case.operations + SLACK, counted


def has_ring(pid: int | None) -> bool:
    return any("io_uring" in os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir())
