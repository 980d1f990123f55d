"""Guards and options for every test: capabilities, leftovers, sharing between workers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

from tests.support import capabilities, day  # noqa: E402
from tests.support.workspace import session_directory  # noqa: E402

# how long an example takes says how busy the machine is
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
MARKED = ("fuse", "userns", "root")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --require."""
    parser.addoption("--require", default="", help="capabilities that must be there: skips become failures")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks of the support package."""
    config.addinivalue_line("markers", "requires(*names): capabilities of tests/support/capabilities.py")
    config.addinivalue_line("markers", "conformance(unions): one test for each cell of the table")


def pytest_report_header() -> str:
    """Say what reproduces the choice of cells and instants."""
    return f"what changes from day to day: LAMINA_DAY={day.today()}"


def _wanted(item: pytest.Item) -> tuple[str, ...]:
    plain = [name for name in MARKED if item.get_closest_marker(name)]
    listed = [name for mark in item.iter_markers("requires") for name in mark.args]
    return tuple(dict.fromkeys([*plain, *listed]))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip with the reason what this machine cannot do; fail where it must."""
    demanded = str(item.config.getoption("--require")).split(",")
    for name in _wanted(item):
        reason = capabilities.probe(name)
        if reason is not None:
            if name in demanded or name == "driver":
                pytest.fail(f"{name} is required but missing: {reason}", pytrace=False)
            pytest.skip(f"{name}: {reason}")


@pytest.fixture(scope="session")
def session_top() -> Iterator[Path]:
    """A directory that every user may enter; nothing may stay mounted or running below it."""
    with session_directory() as top:
        yield top


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give all cells of one scene to one worker: they share a mount."""
    from xdist.scheduler import LoadScopeScheduling

    class BySceneScheduling(LoadScopeScheduling):
        """Cells by scene, all other tests by file."""

        def _split_scope(self, nodeid: str) -> str:
            where, bracket, cell = nodeid.partition("[")
            return where.partition("::")[0] + (cell.rpartition("/")[0] if bracket else "")

    return BySceneScheduling(config, log) if config.getoption("dist") == "load" else None
