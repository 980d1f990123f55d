"""Every case of the POSIX tables on every target."""

from __future__ import annotations

import pytest

from tests.conformance.stage import Scene, Stage


def test_posix(stage: Stage, scene: Scene, case: str) -> None:
    """Run one cell of the table."""
    stage.run(scene, case)


pytestmark = pytest.mark.conformance(unions=False)
