"""All instants of some scenes: `python -m tests.crash SCENE… --how kill --driver NAME`."""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.crash import trace
from tests.crash.scenes import SCENES, make_lower
from tests.crash.trial import Tree, Trial, judge, rehearse, suffer
from tests.differential import isolation
from tests.differential.drivers import DRIVERS
from tests.support import mounts


def main() -> int:
    """Go through the scenes; status 1 if anything is wrong."""
    isolation.enter_own_mounts("tests.crash")
    parser = argparse.ArgumentParser(prog="tests.crash", description=__doc__)
    parser.add_argument("scenes", nargs="*", default=list(SCENES), metavar="SCENE")
    parser.add_argument("--how", default="kill", help="kill, or the errno that a call fails with")
    parser.add_argument("--driver", choices=DRIVERS, default="lamina")
    parser.add_argument("--share", type=float, default=1.0, help="of the instants, drawn by --seed")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    mounts.ensure_fusectl()
    started, wrong, count = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory(prefix="lamina-crash-", ignore_cleanup_errors=True) as name:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "crash", name], check=True, timeout=10)
        base = Path(name)
        lower = base / "lower"
        lower.mkdir()
        make_lower(str(lower))
        for scene in options.scenes:
            rng = random.Random(f"{options.seed}/{scene}")
            tried, bad = _scene(scene, options, base, lower, rng)
            count += tried
            wrong += bad
        subprocess.run(["umount", "-l", name], check=True, timeout=10)
    sys.stdout.write(f"{count} instants, {wrong} wrong, {time.monotonic() - started:.1f} s\n")
    return 1 if wrong else 0


def _scene(
    name: str, options: argparse.Namespace, base: Path, lower: Path, rng: random.Random
) -> tuple[int, int]:
    calls = trace.CHANGING if options.how == "kill" else f"{trace.CHANGING},{trace.READING}"
    trial = Trial(options.driver, base, lower, f"{name}-rehearsal")
    old, new, instants = rehearse(trial, SCENES[name], calls)
    trial.discard()
    instants = [i for i in instants if rng.random() < options.share]
    wrong = 0
    for instant in instants:
        try:
            state = _one(name, instant, options, base, lower, {"old": old, "new": new})
        except (AssertionError, RuntimeError, OSError, subprocess.SubprocessError) as exc:
            wrong += 1
            sys.stdout.write(f"{name}, {options.how} at {instant}: {type(exc).__name__} {exc}\n")
        else:
            if os.environ.get("LAMINA_CRASH_VERBOSE"):
                sys.stdout.write(f"{name}, {options.how} at {instant}: {state}\n")
        sys.stdout.flush()
    return len(instants), wrong


def _one(
    name: str, instant: str, options: argparse.Namespace, base: Path, lower: Path, good: dict[str, Tree]
) -> str:
    """One instant; returns the state found and the errno that was seen."""
    trial = Trial(options.driver, base, lower, f"{name}-{instant.replace('#', '-')}")
    try:
        errno_name = suffer(trial, SCENES[name], instant, options.how)
        state = judge(trial, good)
    finally:
        trial.discard()
    if options.how != "kill":
        if errno_name not in ("", options.how):
            raise AssertionError(f"the caller got {errno_name}")
        # A look that fails behind the change is reported though the change is done: nobody can
        # take it back, and the caller must not be told that all is well.
        looked = instant.split("#")[0] in trace.READING.split(",") and state == "new"
        if not looked and state != ("old" if errno_name else "new") and good["old"] != good["new"]:
            raise AssertionError(f"the caller got {errno_name or 'success'}, but the tree is {state}")
    return f"{state} {errno_name}"


if __name__ == "__main__":
    sys.exit(main())
