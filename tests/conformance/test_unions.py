"""Every case of the union tables on every target that has layers."""

from __future__ import annotations

import pytest

from tests.conformance.stage import Scene, Stage


def test_union(stage: Stage, scene: Scene, case: str) -> None:
    """Run one cell of the table."""
    stage.run(scene, case)


pytestmark = pytest.mark.conformance(unions=True)
