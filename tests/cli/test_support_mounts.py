"""The harness itself: a connection whose number was given away is never aborted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.cli.conftest import Place
from tests.support import mounts


@pytest.mark.fuse
@pytest.mark.root
def test_a_held_connection_means_its_own_mount_alone(place: Place) -> None:
    mounts.ensure_fusectl()
    (place.top / "other").mkdir()
    assert place.run("-o", place.stack, str(place.merged)).returncode == 0
    first = mounts.at(place.merged)
    assert first is not None
    held = mounts.connection(first)
    assert held is not None
    with held:
        assert held.lives()
        place.unmount()
        assert not held.lives()
        assert place.run("-o", place.stack, str(place.merged)).returncode == 0
        held.abort()
        mounts.abort(replace(first, path=str(place.top / "other")))  # a line of mountinfo that is no more
        assert (place.merged / "one").read_text() == "from a\n"
    second = mounts.at(place.merged)
    assert second is not None
    mounts.abort(second)
    with pytest.raises(OSError, match="not connected"):
        (place.merged / "one").stat()
    place.unmount()
