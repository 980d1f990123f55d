"""Every scenario on our driver, briefly; LAMINA_LOAD=20 makes it twenty times as long."""

import os

import pytest

from tests.differential import runner
from tests.load.scenarios import SCENARIOS

SCALE = float(os.environ.get("LAMINA_LOAD", "1"))
SECONDS = 60.0


@pytest.mark.root
@pytest.mark.fuse
@pytest.mark.slow
@pytest.mark.requires("driver")
@pytest.mark.timeout(0)  # the runner has a limit that grows with LAMINA_LOAD
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("driver", ["lamina"])
def test_load(driver: str, scenario: str) -> None:
    words = (scenario, "--driver", driver, "--scale", str(SCALE))
    done = runner.module("tests.load", *words, seconds=SECONDS * max(1.0, SCALE))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.root
@pytest.mark.timeout(60)
@pytest.mark.parametrize("scenario", ["fsx", "stress"])
def test_the_load_itself_is_sound_on_kernel_overlayfs(scenario: str) -> None:
    words = (scenario, "--driver", "kernel", "--scale", "0.3")
    done = runner.module("tests.load", *words, seconds=50)
    assert done.returncode == 0, done.stdout + done.stderr
