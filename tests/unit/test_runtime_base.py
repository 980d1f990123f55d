"""The runtime's errors and places."""

from __future__ import annotations

from pathlib import Path

from lamina_runtime.errors import IntegrityError, LaminaError
from lamina_runtime.path import directories


def test_an_error_renders_brief_details_and_hint() -> None:
    error = IntegrityError("layer: content does not match", details="got a\nnot b", hint="try again")
    assert error.render().splitlines() == [
        "error: layer: content does not match",
        "  got a",
        "  not b",
        "hint: try again",
    ]
    assert error.exit_code == 4
    assert LaminaError("x").render() == "error: x"


def test_places_follow_the_base_directories() -> None:
    got = directories({"HOME": "/h", "XDG_RUNTIME_DIR": "/run/user/5", "XDG_DATA_HOME": "relative"}, uid=5)
    assert got.data == Path("/h/.local/share/lamina")
    assert got.run == Path("/run/user/5/lamina")


def test_without_a_session_the_run_directory_is_named_after_the_user() -> None:
    assert directories({"TMPDIR": "/scratch"}, uid=5).run == Path("/scratch/lamina-5")
    assert directories({}, uid=0).data == Path("/var/lib/lamina")
