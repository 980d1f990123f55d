"""A few commands of what `python -m tests.load.containers` does for minutes."""

from __future__ import annotations

import shutil

import pytest

from tests.containers_cli.conftest import make_host
from tests.load import containers

COMMANDS = 24


@pytest.mark.fuse
@pytest.mark.userns
@pytest.mark.root
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("who", "seed"), [("root", 11), ("user", 12)])
def test_commands_at_random_and_kills_at_random_leave_nothing_behind(who: str, seed: int) -> None:
    host = make_host(who)
    wrong, counts = containers.carry_out(host, seed=seed, workers=4, commands=COMMANDS)
    assert not wrong, "\n".join(wrong)
    assert counts.total() >= COMMANDS
    shutil.rmtree(host.top)
