"""Let a process with a container's ids do something with its files: see container.inside.

With ids of our own (root) and no mount to be made, it is done here, without a process.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import lamina_runtime
from lamina_runtime.container import ids, launch, records
from lamina_runtime.container.plan import NAMESPACES, joined
from lamina_runtime.container.records import Op, Record
from lamina_runtime.errors import LaminaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import IO, Any

PIECE = 1 << 20
OUTSIDE = ("changes", "layer", "populate", "remove", "settle", "unpack")  # they follow no path of a container
LONGEST_WORD = 4096


class InsideError(LaminaError):
    """What was asked of a container's files cannot be done."""


def answer(task: dict[str, Any], mapped: ids.Ids, *, join: int = 0) -> bytes:
    """Return all that the process writes."""
    with started(task, mapped, join=join) as out:
        return out.read()


@contextlib.contextmanager
def started(
    task: dict[str, Any],
    mapped: ids.Ids,
    *,
    tree: Sequence[Record] = (),
    stdin: int = subprocess.DEVNULL,
    join: int = 0,
) -> Iterator[IO[bytes]]:
    """Start it and yield what it writes; InsideError at the end if it failed.

    With `tree` the container's tree is mounted first, for the process alone; with `join` it is in
    the user namespace of that process.
    """
    if not mapped.uids and not tree and task["operation"] in OUTSIDE:
        yield _here(task)
        return
    with tempfile.TemporaryFile() as errors:
        rows = [*_around(mapped, tree, join), *_program(task)]
        process, report = _launch(rows, stdin, errors)
        assert process.stdout is not None
        try:
            yield process.stdout
            while process.stdout.read(PIECE):
                pass
        finally:
            process.stdout.close()
            process.wait()
        errors.seek(0)
        said = errors.read(LONGEST_WORD).decode("utf-8", "replace").strip()
        if process.returncode:
            raise InsideError(said or report.partition(" ")[2] or "the helper process failed")


def _here(task: dict[str, Any]) -> IO[bytes]:
    from lamina_runtime.container import inside

    out = tempfile.TemporaryFile()  # noqa: SIM115 - the caller reads it
    mask = os.umask(0)  # the union core takes it away for good
    try:
        inside.OPERATIONS[task["operation"]](task, io.BytesIO(), out)
    finally:
        os.umask(mask)
    out.seek(0)
    return out


def _around(mapped: ids.Ids, tree: Sequence[Record], join: int) -> list[Record]:
    if join and mapped.uids:
        return [joined(join, ("user",))]
    flags = NAMESPACES["user"] if mapped.uids else 0
    flags |= NAMESPACES["mount"] if tree else 0
    rows = [Record(Op.NAMESPACES, hex(flags))]
    for op, maps in ((Op.UIDMAP, mapped.uids), (Op.GIDMAP, mapped.gids)):
        rows += [Record(op, row.inside, row.outside, row.count) for row in maps]
    if mapped.mappers:
        rows.append(Record(Op.MAPPER, *mapped.mappers))
    return [*rows, *tree]


def _program(task: dict[str, Any]) -> list[Record]:
    script = str(Path(lamina_runtime.__file__).parent / "within.py")
    words = [sys.executable, "-I", "-S", script, json.dumps(task)]
    environment = [Record(Op.ENV, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"), Record(Op.ENV, "HOME=/")]
    return [Record(Op.STDIO), Record(Op.IDS, 0, 0, ""), *environment, *(Record(Op.ARG, w) for w in words)]


def _launch(rows: list[Record], stdin: int, errors: IO[bytes]) -> tuple[subprocess.Popen[bytes], str]:
    """Start the launcher with our streams; return it with its report."""
    plan = os.memfd_create("plan")
    read_end, write_end = os.pipe()
    try:
        with open(plan, "wb", closefd=False) as file:
            file.write(records.encode(rows))
        os.lseek(plan, 0, os.SEEK_SET)
        process = subprocess.Popen(
            [str(launch.program()), str(plan), str(write_end)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=errors,
            pass_fds=(plan, write_end),
        )
        os.close(write_end)
        write_end = -1
        with open(read_end, encoding="utf-8", errors="replace", closefd=False) as file:
            return process, file.readline().strip()
    finally:
        for fd in (plan, read_end, write_end):
            if fd >= 0:
                os.close(fd)
