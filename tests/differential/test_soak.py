"""The random sequences that `make test` plays; LAMINA_SOAK=20 multiplies the steps."""

from pathlib import Path

import pytest

from tests.differential import runner

pytestmark = [pytest.mark.root, pytest.mark.fuse, pytest.mark.slow, pytest.mark.requires("driver")]


@pytest.mark.timeout(0)  # the runner has a limit that grows with LAMINA_SOAK
@pytest.mark.parametrize(
    ("target", "flavour", "seed", "steps"),
    [
        ("lamina", "trusted", 1, 2500),
        ("lamina", "user", 2, 1500),
        ("lamina-pyfuse3", "trusted", 3, 500),
        ("lamina-pyfuse3", "user", 4, 500),
        ("lamina-io-uring", "trusted", 5, 800),
        ("lamina-passthrough", "trusted", 6, 800),
        ("lamina-passthrough-on", "user", 7, 800),
    ],
)
def test_no_difference_to_kernel_overlayfs(
    target: str, flavour: str, seed: int, steps: int, tmp_path: Path
) -> None:
    arguments = ("--target", target, "--flavour", flavour, "--seed", str(seed), "--out", str(tmp_path))
    done = runner.soak(*arguments, steps=steps, seconds=110)
    assert done.returncode == 0, done.stdout + done.stderr
