"""Let a process with a container's ids do something with its files: see container.inside.

With ids of our own (root) and no mount to be made, it is done here, without a process.
"""

from __future__ import annotations

import io
import os
import sys

import lamina_runtime
from lamina_runtime import contexts
from lamina_runtime.container import ids, launch, records
from lamina_runtime.container.records import Op, Record
from lamina_runtime.errors import LaminaError
from lamina_runtime.fspath import Path
from lamina_runtime.oci import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import IO, Any

PIECE = 1 << 20
OUTSIDE = ("changes", "layer", "populate", "remove", "settle", "unpack")  # they follow no path of a container
LONGEST_WORD = 4096


class InsideError(LaminaError):
    """What was asked of a container's files cannot be done."""


def answer(task: dict[str, Any], mapped: ids.Ids, *, join: int = 0) -> bytes:
    """Return all that is written."""
    pieces: list[bytes] = []
    deliver(task, mapped, pieces.append, join=join)
    return b"".join(pieces)


def deliver(
    task: dict[str, Any], mapped: ids.Ids, write: Callable[[bytes], object], *, join: int = 0
) -> None:
    """Have it done without a tree; `write` gets what it writes, piece by piece."""
    assert task["operation"] in OUTSIDE
    if mapped.uids:
        with started(task, mapped, join=join) as out:
            while data := out.read(PIECE):
                write(data)
        return
    from lamina_runtime.container import inside

    mask = os.umask(0)  # the union core takes it away for good
    try:
        inside.OPERATIONS[task["operation"]](task, io.BytesIO(), _Taker(write))
    finally:
        os.umask(mask)


class _Taker:
    """What operations know of a file that they write."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.write = write


@contexts.contextmanager
def started(
    task: dict[str, Any],
    mapped: ids.Ids,
    *,
    tree: Sequence[Record] = (),
    stdin: int = -1,
    join: int = 0,
) -> Iterator[IO[bytes]]:
    """Start a process for it and yield what that writes; InsideError at the end if it failed.

    With `tree` the container's tree is mounted first, for the process alone; with `join` it is in
    the user namespace of that process.  Without `stdin` it reads nothing.
    """
    errors = os.memfd_create("errors")
    try:
        rows = [*_around(mapped, tree, join), *_program(task)]
        process, out_fd, report = _launch(rows, stdin, errors)
        try:
            with open(out_fd, "rb", PIECE) as out:
                yield out
                while out.read(PIECE):
                    pass
        finally:
            status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        if status:
            said = os.pread(errors, LONGEST_WORD, 0).decode("utf-8", "replace").strip()
            raise InsideError(said or report.partition(" ")[2] or "the helper process failed")
    finally:
        os.close(errors)


def _around(mapped: ids.Ids, tree: Sequence[Record], join: int) -> list[Record]:
    from lamina_runtime.container.plan import NAMESPACES, joined

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
    words = [sys.executable, "-I", "-S", script, json.dump_own(task)]
    environment = [Record(Op.ENV, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"), Record(Op.ENV, "HOME=/")]
    return [Record(Op.STDIO), Record(Op.IDS, 0, 0, ""), *environment, *(Record(Op.ARG, w) for w in words)]


def _launch(rows: list[Record], stdin: int, errors: int) -> tuple[int, int, str]:
    """Start the launcher with our streams; return its process, what it writes, and its report."""
    out, theirs = os.pipe()
    plan, (report, ended) = os.memfd_create("plan"), os.pipe()
    try:
        launch.write(plan, records.encode(rows))
        for fd in (plan, ended):
            os.set_inheritable(fd, True)  # noqa: FBT003 - os takes it no other way
        words = [str(launch.program()), str(plan), str(ended)]
        process = os.posix_spawn(words[0], words, os.environ, file_actions=_streams(stdin, theirs, errors))
    except BaseException:
        for fd in (out, report):
            os.close(fd)
        raise
    finally:
        for fd in (theirs, plan, ended):
            os.close(fd)
    try:
        return process, out, launch.line(report)
    finally:
        os.close(report)


def _streams(stdin: int, out: int, errors: int) -> list[tuple[int, ...] | tuple[int, int, str, int, int]]:
    first = (
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0) if stdin < 0 else (os.POSIX_SPAWN_DUP2, stdin, 0)
    )
    return [first, (os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, errors, 2)]
