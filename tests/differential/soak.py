"""Many random steps, fast: `python -m tests.differential.soak --steps 20000 --seed N`.

The steps are cut into rounds, each with a layer stack, a flavour and a medium of its own, and
all drawn from the seed, so that `--seed` and `--round` bring a failure back.  A failing round is
shrunk and written as a test; the status is 1 then.  Runs in a mount namespace of its own: when
it ends, however that happens, nothing stays mounted.
"""

import argparse
import faulthandler
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.differential import isolation, report
from tests.differential.drivers import DRIVERS, FLAVOURS
from tests.differential.rounds import Case, Plan, Round, play, replay
from tests.differential.session import Difference
from tests.differential.shrink import shrink
from tests.support import mounts

SHRINK_TRIES = 250
ROUND_SECONDS = 600  # a round with its shrinking; longer means a process hangs for good


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="tests.differential.soak", description=__doc__)
    parser.add_argument("--steps", type=int, default=2000, help="operations in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--round", type=int, help="play this round only")
    parser.add_argument("--round-steps", type=int, default=500, help="operations in one round")
    parser.add_argument(
        "--every", type=int, default=50, help="operations between two comparisons of the trees"
    )
    parser.add_argument("--oracle", choices=DRIVERS, default="kernel")
    parser.add_argument("--target", choices=DRIVERS, default="lamina")
    parser.add_argument("--flavour", choices=FLAVOURS, help="instead of a random one")
    parser.add_argument("--ignore", default="", help="regex of known differences: look for others")
    parser.add_argument("--keep-going", action="store_true", help="collect differences of several rounds")
    parser.add_argument("--no-swap", action="store_true", help="do not exchange uppers")
    parser.add_argument(
        "--out", type=Path, default=Path("build/differences"), help="where failing tests are written"
    )
    return parser.parse_args(argv)


def main() -> int:
    """Run the soak."""
    isolation.enter_own_mounts("tests.differential.soak")
    mounts.ensure_fusectl()
    faulthandler.enable()
    options = arguments()
    started, steps, number, failures = time.monotonic(), 0, 0, 0
    while steps < options.steps:
        number = options.round if options.round is not None else number + 1
        plan = Plan(
            oracle=options.oracle,
            target=options.target,
            steps=options.round_steps,
            every=options.every,
            swap=not options.no_swap,
            flavour=options.flavour,
            ignore=options.ignore,
        )
        steps += options.round_steps
        faulthandler.dump_traceback_later(ROUND_SECONDS, exit=True)
        failures += not _one(
            plan, random.Random(f"{options.seed}/{number}"), f"{options.seed}-{number}", options.out
        )
        if (failures and not options.keep_going) or options.round is not None:
            break
    seconds = time.monotonic() - started
    sys.stdout.write(
        f"{steps} steps in {number} rounds, {failures} rounds with differences, {seconds:.1f} s\n"
    )
    return 1 if failures else 0


def _one(plan: Plan, rng: random.Random, name: str, out: Path) -> bool:
    """Play one round; on a difference shrink it and write it down."""
    with tempfile.TemporaryDirectory(prefix="lamina-soak-", ignore_cleanup_errors=True) as base:
        folder = Path(base)
        folder.chmod(0o755)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "soak", base], check=True, timeout=10)
        try:
            played = Round(plan, rng, folder / "round")
            failure = play(played)
            if failure is None:
                return True
            sys.stdout.write(f"round {name} ({played.case.flavour}, {played.case.medium}): {failure}\n")
            sys.stdout.flush()
            small, last = _shrunk(played.case, failure, folder)
            path = report.write(small, last, out / f"test_difference_{name.replace('-', '_')}.py")
            sys.stdout.write(f"shrunk to {len(small.ops)} operations: {path}\n{report.brief(small, last)}\n")
            sys.stdout.flush()
        finally:
            subprocess.run(["umount", "-l", base], check=True, timeout=10)
    return False


def _shrunk(case: Case, failure: Difference, folder: Path) -> tuple[Case, Difference]:
    """Cut operations first, then layers, then what is in them."""
    last = failure
    count = 0

    def fails(candidate: Case) -> bool:
        nonlocal last, count
        count += 1
        found = replay(candidate, folder / f"try{count}")
        if found is None or found.signature != failure.signature:
            return False
        last = found
        return True

    ops = shrink(case.ops, lambda ops: fails(case.having(ops=ops)), tries=SHRINK_TRIES)
    case = case.having(ops=ops)
    stack = shrink(case.stack, lambda stack: fails(case.having(stack=stack)), tries=20)
    case = case.having(stack=stack)
    for number in range(len(case.stack)):
        whole = case  # what the pieces are tried in
        items = shrink(
            list(whole.stack[number][1]),
            lambda some, whole=whole, number=number: fails(whole.with_items(number, some)),  # type: ignore[misc]
            tries=SHRINK_TRIES // 3,
        )
        case = whole.with_items(number, items)
    return case, last


if __name__ == "__main__":
    sys.exit(main())
