"""kill -9 and failing system calls at named instants of every scene.

`make test` draws a share of the instants; LAMINA_CRASH=1 does all.
"""

import os

import pytest

from tests.crash.scenes import SCENES
from tests.differential import runner

SHARE = os.environ.get("LAMINA_CRASH", "0.15")
HALVES = (list(SCENES)[::2], list(SCENES)[1::2])

pytestmark = [pytest.mark.root, pytest.mark.fuse, pytest.mark.slow, pytest.mark.requires("driver")]


def _crash(how: str, scenes: list[str], share: str = SHARE) -> None:
    words = (*scenes, "--how", how, "--driver", "lamina-old-calls", "--share", share)
    done = runner.module("tests.crash", *words, seconds=280)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenes", HALVES, ids=("even", "odd"))
def test_killed_at_any_instant_leaves_the_old_or_the_new(scenes: list[str]) -> None:
    _crash("kill", scenes)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["EIO", "ENOSPC"])
def test_a_failing_call_reaches_the_caller_and_leaves_no_partial_object(how: str) -> None:
    _crash(how, list(SCENES), str(float(SHARE) / 3))
