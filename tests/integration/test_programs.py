"""Databases, package managers and file tools on the merged view."""

import pytest

from tests.differential import runner
from tests.integration.programs import CASES


@pytest.mark.fuse
@pytest.mark.root
@pytest.mark.slow
@pytest.mark.requires("driver")
@pytest.mark.timeout(400)  # the first run on a machine makes the Debian tree
@pytest.mark.parametrize("case", CASES)
def test_program(case: str) -> None:
    done = runner.module("tests.integration.programs", case, "--driver", "lamina", seconds=390)
    assert done.returncode == 0, done.stdout + done.stderr
