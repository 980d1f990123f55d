"""The command as root and as a plain user, over an image with a shell in it."""

from __future__ import annotations

import pytest

from tests.cli_runtime.conftest import Lamina, lamina
from tests.integration.rootfs import busybox

__all__ = ["Lamina", "box", "lamina"]


@pytest.fixture
def box(lamina: Lamina) -> Lamina:
    """The command over a store that has the image `busy`."""
    tar = busybox(lamina.top / "busy.tar")
    lamina.give(tar)
    lamina.ok("import", "-c", 'CMD ["sh"]', "-c", "ENV FROM=image", tar, "busy")
    return lamina
