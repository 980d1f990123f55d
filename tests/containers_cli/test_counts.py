"""What commands on containers cost, counted: programs, interpreters among them, slow imports, sleeps.

A Python that starts is 10 ms and more, each of the modules below one or several.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import lamina_runtime
import pytest

from tests.cli_runtime.test_start import SLOW
from tests.containers_cli.conftest import IMAGE, Host

START = Path(lamina_runtime.__file__).with_name("start.py")
SECONDS = 60
RUN = ("run", "--rm", "--network", "host", IMAGE, "true")
EXEC, DIFF, COMMIT = ("exec", "steady", "true"), ("diff", "changed"), ("commit", "changed", "made:1")
PS, INSPECT = ("ps", "-a"), ("inspect", "changed")
_EXEC = re.compile(r"^(\d+) +execve\(\"([^\"]*)\".* = 0$", re.MULTILINE)
_SLEEP = re.compile(r"^(\d+) +(?:clock_)?nanosleep\(", re.MULTILINE)
_IMPORT = re.compile(r"^import time:.*\| +(\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Cost:
    """What one command may start: interpreters and all programs, for root and for others."""

    words: tuple[str, ...]
    pythons: tuple[int, int]
    programs: tuple[int, int]


# the command is a shell and Python; the launcher is executed twice (its sealed copy); so is what it runs
COSTS = (
    Cost(PS, (1, 1), (2, 2)),
    Cost(INSPECT, (1, 1), (2, 2)),
    Cost(RUN, (2, 2), (6, 8)),  # the driver; newuidmap and newgidmap
    Cost(EXEC, (1, 1), (5, 5)),
    Cost(DIFF, (1, 2), (2, 7)),  # who has no right to read what the container wrote lets its root do it
    Cost(COMMIT, (1, 2), (2, 7)),
)


@pytest.fixture(scope="module")
def used(shared: Host) -> Host:
    """Somebody with a container that runs, and one that changed something and does not."""
    shared("run", "-d", "--name", "steady", "--network", "host", IMAGE, "sleep", "1000")
    shared("run", "--name", "changed", "--network", "host", IMAGE, "touch", "/new")
    yield shared
    shared("rm", "-f", "steady", "changed")


@pytest.mark.root
@pytest.mark.parametrize("cost", COSTS, ids=lambda cost: cost.words[0])
def test_commands_start_few_programs_and_do_not_poll(used: Host, cost: Cost) -> None:
    log = used.top / "strace"
    trace = "trace=execve,nanosleep,clock_nanosleep"
    words = ["strace", "-f", "-qq", "-o", str(log), "-e", trace, "-e", "signal=none"]
    done = subprocess.run(
        [*words, *used.command(*cost.words)], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    text = log.read_text(errors="replace")
    programs = _EXEC.findall(text)
    started = programs[next(i for i, (_, name) in enumerate(programs) if name.endswith("/lamina")) :]
    pythons = [name for _, name in started if "python" in name.rpartition("/")[2]]
    of_whom = int(bool(used.before))
    assert len(pythons) <= cost.pythons[of_whom], started
    assert len(started) <= cost.programs[of_whom], started
    command, _ = started[0]
    assert command not in _SLEEP.findall(text)


@pytest.mark.parametrize("words", [RUN, EXEC, DIFF, COMMIT, INSPECT, PS], ids=lambda words: words[0])
def test_commands_import_nothing_slow(used: Host, words: tuple[str, ...]) -> None:
    *before, _ = used.command()
    argv = [*before, sys.executable, "-I", "-S", "-X", "importtime", str(START), *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    imported = set(_IMPORT.findall(done.stderr))
    assert "lamina_runtime.cli.main" in imported
    allowed = {"xxhash"} if words == COMMIT else set()
    assert not imported & SLOW - allowed
