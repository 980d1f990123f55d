"""Every scenario on our driver, some in its other modes, briefly; LAMINA_LOAD=20: twenty times longer."""

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
def test_load(scenario: str) -> None:
    _load(scenario, "--driver", "lamina")


def _load(*words: str, share: float = 1.0) -> None:
    done = runner.module(
        "tests.load", *words, "--scale", str(SCALE * share), seconds=SECONDS * max(1.0, SCALE)
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.root
@pytest.mark.fuse
@pytest.mark.slow
@pytest.mark.requires("driver")
@pytest.mark.timeout(0)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_load_in_a_user_namespace(scenario: str) -> None:
    _load(scenario, "--userns")


@pytest.mark.root
@pytest.mark.fuse
@pytest.mark.slow
@pytest.mark.requires("driver")
@pytest.mark.timeout(0)
@pytest.mark.parametrize(("driver", "share"), [("lamina-passthrough-on", 0.5), ("lamina-pyfuse3", 0.2)])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_load_in_other_modes(driver: str, share: float, scenario: str) -> None:
    _load(scenario, "--driver", driver, share=share)


@pytest.mark.root
@pytest.mark.fuse
@pytest.mark.slow
@pytest.mark.requires("driver", "fuse_uring")
@pytest.mark.timeout(0)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_load_over_io_uring(scenario: str) -> None:
    _load(scenario, "--driver", "lamina-io-uring", share=0.25)


@pytest.mark.root
@pytest.mark.timeout(60)
@pytest.mark.parametrize("scenario", ["fsx", "stress"])
def test_the_load_itself_is_sound_on_kernel_overlayfs(scenario: str) -> None:
    words = (scenario, "--driver", "kernel", "--scale", "0.3")
    done = runner.module("tests.load", *words, seconds=50)
    assert done.returncode == 0, done.stdout + done.stderr
