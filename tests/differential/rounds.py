"""One round: a random stack and a random sequence, played once, and replayed from data."""

import random
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.differential import stacks
from tests.differential.drivers import DRIVERS, FLAVOURS
from tests.differential.generate import Generator
from tests.differential.operations import Op
from tests.differential.session import Difference, OracleGivesUp, opened
from tests.support import mounts

MAX_LAYERS = 6
SESSION_STEPS = (("remount",), ("swap",), ("drop_caches",))
MEDIA = ("one", "one", "two")  # all layers on one tmpfs, or each layer on one of its own


@dataclass(frozen=True)
class Plan:
    """What a round shall be like."""

    oracle: str
    target: str
    steps: int
    every: int
    swap: bool
    flavour: str | None = None
    ignore: str = ""


@dataclass(frozen=True)
class Case:
    """Everything that is needed to do a round again."""

    oracle: str
    target: str
    flavour: str
    medium: str
    stack: stacks.Stack
    ops: list[Op]
    ignore: str = ""  # see Session

    def having(self, **changes: Any) -> "Case":
        """Copy with some fields changed."""
        return replace(self, **changes)

    def with_items(self, number: int, items: list[Any]) -> "Case":
        """Copy with other entries or operations in one layer."""
        layer = (self.stack[number][0], items)
        return replace(self, stack=[*self.stack[:number], layer, *self.stack[number + 1 :]])


class Round:
    """A round that is being drawn while it is played."""

    def __init__(self, plan: Plan, rng: random.Random, base: Path) -> None:
        self.plan = plan
        self.rng = rng
        self.base = base
        self.case = Case(
            plan.oracle,
            plan.target,
            plan.flavour or rng.choice(("trusted", "trusted", "user")),
            rng.choice(MEDIA),
            [],
            [],
            plan.ignore,
        )


def _lower_base(base: Path, medium: str) -> Path:
    lower = base / "lower"
    lower.mkdir(parents=True, mode=0o755)
    if medium == "two":
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "mode=755", "lowers", str(lower)], check=True, timeout=10
        )
    return lower


def _clean(base: Path) -> None:
    for entry in reversed(mounts.below(base)):
        mounts.detach(entry)
    shutil.rmtree(base, ignore_errors=True)


def play(round_: Round) -> Difference | None:
    """Draw and play; the case so far is in `round_.case`, the difference found is returned."""
    case, rng, plan = round_.case, round_.rng, round_.plan
    flavour = FLAVOURS[case.flavour]
    lower = _lower_base(round_.base, case.medium)
    try:
        stack, lowers = stacks.draw(rng, lower, flavour, rng.randint(1, MAX_LAYERS))
        round_.case = case = case.having(stack=stack)
        with opened((DRIVERS[case.oracle], DRIVERS[case.target]), lowers, round_.base, flavour) as session:
            session.ignore = case.ignore
            generator = Generator(rng, private_prefix=flavour.prefix)
            generator.observe(session.oracle.tree.root)
            session.done = case.ops
            session.step(("check",))
            for number in range(1, plan.steps + 1):
                op = _draw(rng, generator, number, plan)
                generator.learn(op, session.step(op))
                if op[0] in ("check", "remount", "swap"):
                    generator.observe(session.oracle.tree.root)
            for op in (("remount",), ("swap",), ("remount",)) if plan.swap else (("remount",),):
                session.step(op)
    except OracleGivesUp:
        return None
    except Difference as difference:
        return difference
    finally:
        _clean(round_.base)
    return None


def _draw(rng: random.Random, generator: Generator, number: int, plan: Plan) -> Op:
    if number % plan.every != 0:
        return generator.next()
    chance = rng.random()
    if chance < 0.15:
        return ("remount",)
    if chance < 0.35 and plan.swap:
        return ("swap",)
    if chance < 0.40:
        return ("drop_caches",)
    return ("check",)


def replay(case: Case, base: Path) -> Difference | None:
    """Do a case again from its data, with a comparison at the end."""
    flavour = FLAVOURS[case.flavour]
    lower = _lower_base(base, case.medium)
    try:
        lowers = stacks.build(case.stack, lower, flavour)
        with opened((DRIVERS[case.oracle], DRIVERS[case.target]), lowers, base, flavour) as session:
            session.ignore = case.ignore
            for op in case.ops:
                session.step(op)
            session.step(("check",))
    except OracleGivesUp:
        return None
    except Difference as difference:
        return difference
    finally:
        _clean(base)
    return None
