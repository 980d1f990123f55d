"""A program of the host in the user namespace that containers get: the same ids, and mounts of its own."""

import os
import signal
from collections.abc import Sequence

from lamina_runtime.container import launch, plan
from lamina_runtime.container.records import Op, Record
from lamina_runtime.engine.context import Engine


def run(engine: Engine, command: Sequence[str]) -> int:
    """Run a program to its end with our standard streams; return its status, 128 + n for a signal."""
    mapped = engine.ids
    kinds = ["mount", *(["user"] if mapped.uids else [])]
    rows = [Record(Op.NAMESPACES, hex(sum(plan.NAMESPACES[kind] for kind in kinds)))]
    rows += [Record(Op.UIDMAP, row.inside, row.outside, row.count) for row in mapped.uids]
    rows += [Record(Op.GIDMAP, row.inside, row.outside, row.count) for row in mapped.gids]
    if mapped.mappers:
        rows.append(Record(Op.MAPPER, *mapped.mappers))
    rows += [Record(Op.CWD, os.getcwd()), Record(Op.IDS, 0, 0, ""), Record(Op.STDIO)]
    rows += [Record(Op.ENV, name + b"=" + text) for name, text in os.environb.items()]
    rows += [Record(Op.ARG, os.fsencode(word)) for word in command]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program's to answer
    started = launch.start(rows)
    return os.waitstatus_to_exitcode(os.waitpid(started.monitor, 0)[1])
