"""Collection of the conformance table: cells, marks, deviations, the stage."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.conformance.deviations import deviation
from tests.conformance.stage import Scene, Stage, scenes
from tests.conformance.table import Result, failure, markdown, parse
from tests.support.errors import RemoteFailure, SupportError
from tests.support.targets import TARGETS

STAGE = pytest.StashKey[Stage]()
# Stand-ins that are only run when asked for by name.
EXTRA = ("fuse-overlayfs", "fuse-overlayfs-userns", "fuse-overlayfs-user")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choice of columns."""
    parser.addoption("--targets", default="", help="conformance targets, comma-separated patterns")
    parser.addoption(
        "--conformance-table", default="", help="write the table of cases and targets to this file"
    )


class Recorder:
    """Collects outcomes in the process that reports, and writes the table at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._results: list[Result] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a call, and failures of set-up and clean-up."""
        if report.when != "call" and report.outcome == "passed":
            return
        outcome = "deviates" if hasattr(report, "wasxfail") and report.skipped else str(report.outcome)
        result = parse(report.nodeid, outcome, failure(report.longreprtext) if report.failed else "")
        if result is not None:
            self._results.append(result)

    def pytest_sessionfinish(self) -> None:
        """Write the table, and what failed below it."""
        lines = [*markdown(self._results), ""]
        lines += [
            f"* {r.target}/{r.placement}/{r.theme}/{r.case}: {r.text}"
            for r in self._results
            if r.outcome == "failed"
        ]
        self._path.write_text("\n".join(lines) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    """Record outcomes where they come together: in the controller, not in its workers."""
    path = str(config.getoption("--conformance-table"))
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(Path(path)))


def _chosen(config: pytest.Config) -> list[str]:
    wanted = str(config.getoption("--targets")).split(",")
    if wanted == [""]:
        return [name for name in TARGETS if name not in EXTRA]
    return [name for name in TARGETS if any(fnmatchcase(name, pattern) for pattern in wanted)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each cell."""
    mark = metafunc.definition.get_closest_marker("conformance")
    if mark is None:
        return
    cells = []
    for target in _chosen(metafunc.config):
        requires = TARGETS[target].requires
        for scene in scenes(target, unions=mark.kwargs["unions"]):
            file_system = scene.placement.partition("@")[2]
            needs = (*requires, file_system) if file_system else requires
            for name in scene.cases:
                cell = f"{target}/{scene.placement}/{scene.theme}/{name}"
                marks: list[pytest.MarkDecorator | pytest.Mark] = [pytest.mark.requires(*needs)]
                anchor = deviation(cell)
                if anchor is not None:
                    marks.append(pytest.mark.xfail(strict=True, reason=f"docs/conformance.md#{anchor}"))
                cells.append(pytest.param(scene, name, id=cell, marks=marks))
    metafunc.parametrize(("scene", "case"), cells)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Treat tests with a 'target' of their own like cells: choice, requirements, deviations."""
    chosen = _chosen(config)
    dropped = []
    for item in items:
        target = _param(item, "target")
        if not isinstance(target, str) or target not in TARGETS:
            continue
        if target not in chosen:
            dropped.append(item)
        item.add_marker(pytest.mark.requires(*TARGETS[target].requires))
        anchor = deviation(f"{target}/stack/{item.name.partition('[')[0]}")
        if anchor is not None:
            item.add_marker(pytest.mark.xfail(strict=True, reason=f"docs/conformance.md#{anchor}"))
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in set(dropped)]


@pytest.fixture(scope="session")
def stage(session_top: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Keep one scene mounted."""
    opened = Stage(session_top / "stage")
    request.session.stash[STAGE] = opened
    yield opened
    opened.close()


def _param(item: pytest.Item | None, name: str) -> object:
    spec = getattr(item, "callspec", None)
    return None if spec is None else spec.params.get(name)


def _scene(item: pytest.Item | None) -> Scene | None:
    found = _param(item, "scene")
    return found if isinstance(found, Scene) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Report failures with their far end only."""
    try:
        return (yield)
    except RemoteFailure as exc:
        text = str(exc)
    pytest.fail(text, pytrace=False)  # outside of the handler: no "during handling of" in the report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Strike a scene after its last cell, so that its trouble is reported there."""
    yield
    scene = _scene(item)
    if scene is not None and _scene(nextitem) != scene:
        opened = item.session.stash.get(STAGE, None)
        if opened is not None:
            try:
                opened.strike()
            except SupportError as exc:
                trouble = f"{scene}: {exc}"
            else:
                return
            pytest.fail(trouble, pytrace=False)
