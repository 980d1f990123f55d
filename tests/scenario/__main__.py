"""`python -m tests.scenario [root|user]`: play the practice scenario and show every command."""

from __future__ import annotations

import sys

from tests.scenario.practice import Scenario
from tests.scenario.stage import stores

for who in sys.argv[1:] or ["root", "user"]:
    print(f"==== as {who} ====")
    with stores(who) as (workshop, elsewhere):
        Scenario(workshop, elsewhere).play()
