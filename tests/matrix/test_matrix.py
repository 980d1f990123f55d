"""Each command on each kind of host: as root, as a user, and where something is missing.

All cells take minutes: LAMINA_MATRIX=1 plays them.  Else each command is played on two kinds of host, in
turn, which change from day to day: the header says which day it is, LAMINA_DAY=N plays it again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.matrix.cells import CELLS
from tests.matrix.stage import Stage, stage
from tests.support import day, hosts


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each cell; those of one kind of host share it."""
    kinds, number_of_day = hosts.KINDS, day.today()
    cells = [
        (kind, name)
        for at, kind in enumerate(kinds)
        for number, name in enumerate(CELLS)
        if "LAMINA_MATRIX" in os.environ or (number + number_of_day - at) % (len(kinds) // 2) == 0
    ]
    ids = [f"{kind}/{name}" for kind, name in cells]
    metafunc.parametrize(("shared", "name"), cells, ids=ids, indirect=["shared"], scope="module")


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with stage(request.param) as made:
        yield made


@pytest.mark.fuse
@pytest.mark.userns
@pytest.mark.root
def test_command(shared: Stage, name: str) -> None:
    try:
        CELLS[name](shared)
    finally:
        shared.clear()
