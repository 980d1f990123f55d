"""The harness itself: it finds a seeded difference, and none where there is none."""

import random
from pathlib import Path

import pytest

from tests.differential import runner
from tests.differential.shrink import shrink


@pytest.mark.root
@pytest.mark.timeout(60)
def test_kernel_overlayfs_does_not_differ_from_itself(tmp_path: Path) -> None:
    done = runner.soak("--target", "kernel", "--seed", "5", "--out", str(tmp_path), steps=1500, seconds=50)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.root
@pytest.mark.timeout(90)
def test_a_seeded_difference_is_found_shrunk_and_written_as_a_test(tmp_path: Path) -> None:
    arguments = (
        "--target",
        "kernel-seeded",
        "--flavour",
        "trusted",
        "--no-swap",
        "--seed",
        "1",
        "--out",
        str(tmp_path),
    )
    done = runner.soak(*arguments, steps=3000, seconds=80)
    assert done.returncode == 1, done.stdout + done.stderr
    (written,) = tmp_path.glob("test_difference_*.py")
    text = written.read_text()
    compile(text, str(written), "exec")
    assert text.split("OPS = ")[1].count("(") < 40, text


def test_shrinking_keeps_what_is_needed() -> None:
    rng = random.Random(1)
    items = [rng.randrange(1000) for _ in range(400)] + [7777, 8888]
    assert shrink(items, lambda some: 7777 in some and 8888 in some, tries=500) == [7777, 8888]


def test_shrinking_stays_within_its_tries() -> None:
    tries = 0

    def fails(_some: list[int]) -> bool:
        nonlocal tries
        tries += 1
        return False

    assert len(shrink(list(range(100)), fails, tries=30)) == 100
    assert tries == 30
