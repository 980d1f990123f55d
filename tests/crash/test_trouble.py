"""Full and read-only uppers, signals, an upper mounted twice, kill -9 under load."""

import pytest

from tests.crash.trouble import CASES
from tests.differential import runner


@pytest.mark.root
@pytest.mark.fuse
@pytest.mark.slow
@pytest.mark.requires("driver")
@pytest.mark.timeout(100)
@pytest.mark.parametrize("case", CASES)
def test_trouble(case: str) -> None:
    done = runner.module("tests.crash.trouble", case, "--driver", "lamina", seconds=90)
    assert done.returncode == 0, done.stdout + done.stderr
