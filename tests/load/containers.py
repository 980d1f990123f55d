"""Containers under load: commands at random by many at once, and SIGKILL at random.

`python -m tests.load.containers --minutes 5` lets eight workers run, stop, restart, rename, commit,
exec into, copy from, list and remove containers of one store, while commands, monitors, drivers and
first processes are killed at random; then it looks at what is left:

  * every container is listed in a known state, described, and can be removed;
  * no mount, no process, no directory, no name and no lease of theirs stays;
  * every image whose commit succeeded is there, the store is sound, and one of them runs.

What a killed command had begun is cleared up by the next commands, so the last look comes after
one of them.  Nothing here expects a certain outcome of a single command but that it says no
traceback and no "unexpected".
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.containers_cli.conftest import IMAGE, Host, make_host

NAMES = tuple(f"box-{letter}" for letter in "abcdefgh")
STATES = {"created", "running", "paused", "exited", "starting"}
KILLED_COMMANDS = 0.15  # of the commands, each at a moment of its life
KILLS_PER_SECOND = 1.5  # of monitors, drivers and first processes
LONGEST = 120.0  # seconds that one command may take on a loaded machine


@dataclass
class Load:
    """What the workers share."""

    host: Host
    seed: int
    deadline: float
    commands: int  # at most
    lock: threading.Lock = field(default_factory=threading.Lock)
    images: set[str] = field(default_factory=set)  # whose commit succeeded
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether enough was done."""
        return time.monotonic() > self.deadline or self.counts.total() >= self.commands

    def note(self, text: str) -> None:
        """Count something."""
        with self.lock:
            self.counts[text] += 1

    def command(self, chance: random.Random, *words: str) -> str | None:
        """Run a command, perhaps killing it; return its output if it succeeded."""
        process = subprocess.Popen(
            self.host.command(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        kill = chance.random() < KILLED_COMMANDS
        try:
            out, said = process.communicate(timeout=chance.uniform(0.02, 0.8) if kill else LONGEST)
        except subprocess.TimeoutExpired:
            if not kill:
                self.wrong.append(f"{words}: still running after {LONGEST} s")
            with contextlib.suppress(ProcessLookupError):
                # env and sudo before it are of the same session
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            self.note(f"{words[0]} killed")
            return None
        self.note(f"{words[0]} {process.returncode}")
        if any(mark in said for mark in ("Traceback", "unexpected", "bug of lamina")):
            self.wrong.append(f"{words}: {said.strip()}")
        if "LAMINA_LOAD_SAY" in os.environ and process.returncode:
            sys.stderr.write(f"{words}: {process.returncode}: {said}\n")
        return out if process.returncode == 0 else None


def worker(load: Load, number: int) -> None:
    """Do one thing after the other until time is over."""
    chance = random.Random(load.seed * 1000 + number)
    while not load.over:
        name, other = chance.sample(NAMES, 2)
        action = chance.choices(list(ACTIONS), [weight for weight, _ in ACTIONS.values()])[0]
        ACTIONS[action][1](load, chance, name, other)


def _marked(load: Load) -> list[str]:
    """Return the flag by which processes of the containers are known as ours."""
    return ["-e", f"LOAD={load.host.top}/"]


def _run(load: Load, chance: random.Random, name: str, _other: str) -> None:
    flags = [*(["--rm"] if chance.random() < 0.3 else []), *(["--init"] if chance.random() < 0.3 else [])]
    if chance.random() < 0.2 and "--rm" not in flags:
        flags += ["--restart", "on-failure:2"]
    script = f"echo {chance.random()} > /file; " + chance.choice(
        ("sleep 20", "sleep 0.3", "exit 3", "exec sleep 20")
    )
    load.command(chance, "run", "-d", "--name", name, *flags, *_marked(load), IMAGE, "sh", "-c", script)


def _watched(load: Load, chance: random.Random, _name: str, _other: str) -> None:
    load.command(chance, "run", "--rm", *_marked(load), IMAGE, "sh", "-c", "echo one; sleep 0.1; echo two")


def _create(load: Load, chance: random.Random, name: str, _other: str) -> None:
    load.command(chance, "create", "--name", name, *_marked(load), IMAGE, "sleep", "15")


def _commit(load: Load, chance: random.Random, name: str, _other: str) -> None:
    made = load.command(chance, "commit", name, f"made-{chance.randrange(10_000)}")
    if made is not None:
        with load.lock:
            load.images.add(made.strip())


def _copy(load: Load, chance: random.Random, name: str, _other: str) -> None:
    if chance.random() < 0.5:
        load.command(chance, "cp", "/etc/hostname", f"{name}:/tmp/copied")
    else:
        load.command(chance, "cp", f"{name}:/file", "-")


def _plain(*words: str):  # type: ignore[no-untyped-def]
    def act(load: Load, chance: random.Random, name: str, other: str) -> None:
        filled = [{"NAME": name, "OTHER": other}.get(word, word) for word in words]
        load.command(chance, *filled)

    return act


ACTIONS = {
    "run": (6, _run),
    "watched": (2, _watched),
    "create": (1, _create),
    "commit": (3, _commit),
    "copy": (2, _copy),
    "start": (2, _plain("start", "NAME")),
    "stop": (1, _plain("stop", "-t", "0", "NAME")),
    "kill": (1, _plain("kill", "NAME")),
    "restart": (1, _plain("restart", "-t", "0", "NAME")),
    "pause": (1, _plain("pause", "NAME")),
    "unpause": (2, _plain("unpause", "NAME")),
    "rename": (2, _plain("rename", "NAME", "OTHER")),
    "exec": (3, _plain("exec", "NAME", "sh", "-c", "echo more >> /file; sleep 0.05")),
    "rm": (2, _plain("rm", "NAME")),
    "rm -f": (3, _plain("rm", "-f", "NAME")),
    "ps": (1, _plain("ps", "-a")),
    "inspect": (1, _plain("inspect", "NAME")),
    "diff": (1, _plain("diff", "NAME")),
    "prune": (1, _plain("container", "prune", "-f")),
}


def ours(top: Path) -> dict[int, str]:
    """Return the processes that have to do with a store: by their environment, or by their words."""
    found = {}
    needle = f"{top}/".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            if needle in words or needle in (entry / "environ").read_bytes():
                found[int(entry.name)] = words.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def killer(load: Load) -> None:
    """Kill monitors, drivers, first processes and whoever else is the store's."""
    chance = random.Random(load.seed)
    while not load.over:
        time.sleep(chance.expovariate(KILLS_PER_SECOND))
        found = ours(load.host.top)
        # commands are killed by who started them; here it is more often those who stay
        staying = [pid for pid, words in found.items() if "bin/lamina " not in words]
        if not found:
            continue
        victim = chance.choice(sorted(staying if staying and chance.random() < 0.9 else found))
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
            load.note("killed from outside")


def look(load: Load) -> list[str]:
    """Return what is wrong when all have ended, and clear everything up."""
    host, wrong = load.host, list(load.wrong)
    rows = host("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.State}} {{.Status}}").splitlines()
    left = [row.split()[0] for row in rows]
    for row in rows:
        _, state, *words = row.split()
        if state not in STATES or not words:
            wrong.append(f"listed as {row!r}")
    for verb in (("inspect",), ("rm", "-f")) if left else ():
        ended = host.run(*verb, *left, seconds=LONGEST)
        if ended.returncode:
            wrong.append(f"{verb[0]} of what is left: {ended.stderr.strip()}")
    host("container", "prune", "-f")
    deadline = time.monotonic() + LONGEST
    while (running := ours(host.top)) and time.monotonic() < deadline:
        time.sleep(0.1)
    wrong += [f"process {pid} stays: {said}" for pid, said in running.items()]
    wrong += [f"mount stays: {row}" for row in Path("/proc/self/mountinfo").read_text().splitlines()
              if f"{host.top}/" in row]  # fmt: skip
    for place in ("root/containers", "root/names", "run/lamina/containers", "root/leases"):
        if (host.top / place).is_dir():
            wrong += [f"{place}/{one.name} stays" for one in (host.top / place).iterdir()]
    return wrong + _images(load)


def _images(load: Load) -> list[str]:
    host, wrong = load.host, []
    listed = set(host("images", "-aq", "--no-trunc").split())
    wrong += [f"image {one} is lost" for one in sorted(load.images - listed)]
    host("store", "gc")
    for words in (("store", "check"), ("image", "verify", *sorted(listed)[:20])):
        ended = host.run(*words, seconds=LONGEST)
        if ended.returncode:
            wrong.append(f"{' '.join(words[:2])}: {ended.stdout.strip()} {ended.stderr.strip()}")
    for one in sorted(load.images)[:1]:
        ended = host.run("run", "--rm", one, "ls", "/bin/sh")
        if (ended.returncode, ended.stdout) != (0, "/bin/sh\n"):
            wrong.append(f"image {one[:19]} does not run: {ended.stderr.strip()}")
    return wrong


def carry_out(
    host: Host, *, seed: int, workers: int, seconds: float = math.inf, commands: int = sys.maxsize
) -> tuple[list[str], Counter[str]]:
    """Load a host's store; return what is wrong afterwards, and what was done."""
    load = Load(host, seed, time.monotonic() + seconds, commands)
    threads = [threading.Thread(target=worker, args=(load, number)) for number in range(workers)]
    threads.append(threading.Thread(target=killer, args=(load,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return look(load), load.counts


def main() -> int:
    """Load, look, tell."""
    parser = argparse.ArgumentParser(prog="tests.load.containers", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--who", choices=("root", "user", "single"), default="root")
    options = parser.parse_args()
    host = make_host(options.who)
    sys.stdout.write(f"seed {options.seed}, store {host.top}\n")
    wrong, counts = carry_out(host, seed=options.seed, workers=options.workers, seconds=60 * options.minutes)
    for what, count in sorted(counts.items()):
        sys.stdout.write(f"{count:6} {what}\n")
    for text in wrong:
        sys.stdout.write(f"WRONG {text}\n")
    if not wrong:
        shutil.rmtree(host.top)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
