"""Where client and server run, and beside what.

    pinned  both on one CPU: no wake-up crosses CPUs, what is compared is work
    free    wherever the scheduler puts them
    hogs    free to use two CPUs on each of which a loop runs that never sleeps

The hogs are in the session of the client, as another job in the same terminal would be.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator

PINNED, FREE, HOGS = "pinned", "free", "hogs"
ALL = (PINNED, FREE, HOGS)
HOG_COUNT = 2


def words(placement: str) -> list[str]:
    """Return what goes before a command line to place it."""
    cpus = _cpus()
    if placement == PINNED:
        return ["taskset", "-c", str(cpus[0])]
    if placement == HOGS:
        return ["taskset", "-c", ",".join(map(str, cpus[:HOG_COUNT]))]
    return []


@contextlib.contextmanager
def disturbed(placement: str) -> Iterator[None]:
    """Run the hogs of a placement that has some."""
    with contextlib.ExitStack() as stack:
        if placement == HOGS:
            cpus = _cpus()
            for number in range(HOG_COUNT):
                where = str(cpus[number % len(cpus)])
                argv = [
                    "setpriv",
                    "--pdeathsig=KILL",
                    "taskset",
                    "-c",
                    where,
                    "sh",
                    "-c",
                    "while :; do :; done",
                ]
                hog = stack.enter_context(subprocess.Popen(argv, stdin=subprocess.DEVNULL))
                stack.callback(hog.kill)
        yield


def _cpus() -> list[int]:
    return sorted(os.sched_getaffinity(0))
