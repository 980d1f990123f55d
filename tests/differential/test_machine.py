"""The hypothesis state machine, in a process of its own."""

import pytest

from tests.differential import runner

MODULE = "tests.differential.machine"


@pytest.mark.root
@pytest.mark.timeout(60)
def test_the_machine_finds_nothing_between_kernel_and_kernel() -> None:
    done = runner.module(MODULE, "--target", "kernel", "--examples", "5", seconds=50)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.root
@pytest.mark.fuse
@pytest.mark.slow
@pytest.mark.requires("driver")
@pytest.mark.timeout(0)  # the runner has a limit that grows with LAMINA_SOAK
def test_the_machine_finds_no_difference_to_kernel_overlayfs() -> None:
    examples = str(int(20 * runner.SCALE))
    done = runner.module(MODULE, "--target", "lamina", "--examples", examples, seconds=100)
    assert done.returncode == 0, done.stdout + done.stderr
