"""The practice scenario, as root and as a plain user."""

from __future__ import annotations

import pytest

from tests.scenario.practice import Scenario
from tests.scenario.stage import stores


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.fuse
@pytest.mark.timeout(600)
@pytest.mark.parametrize("who", ["root", "user"])
def test_from_a_first_run_to_a_served_page(who: str) -> None:
    with stores(who) as (workshop, elsewhere):
        Scenario(workshop, elsewhere).play()
