"""Which containers there are, and how they are: `ps`, its filters, `container prune`."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from lamina_runtime.container import processes
from lamina_runtime.container.state import ConflictError
from lamina_runtime.engine import containers, filters, moments
from lamina_runtime.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lamina_runtime.container.state import Container, Status
    from lamina_runtime.engine.context import Engine

    Test = Callable[["Listed"], bool]

KEYS = ("id", "name", "label", "status", "exited", "ancestor", "before", "since", "network", "volume")
PRUNE_KEYS = ("label", "label!", "until")
STATES = ("created", "restarting", "running", "removing", "paused", "exited", "dead", "starting")


class Listed(NamedTuple):
    """A container and how it was when we looked."""

    container: Container
    status: Status
    state: str  # as docker names it
    created: float | None

    @property
    def network(self) -> str:
        """The network's name."""
        wishes = self.container.record.wishes
        return wishes.network or ("host" if "network" in wishes.share else "none")

    def size(self) -> int:
        """Return the bytes that it has written."""
        return _size(self.container.data / "upper")


def listed(container: Container) -> Listed:
    """Look at a container."""
    status = container.status()
    state = status.kind
    if state == "running" and processes.is_paused(status.pid):
        state = "paused"
    return Listed(container, status, state, moments.from_rfc3339(container.record.created))


def chosen(engine: Engine, words: Sequence[str], *, every: bool, count: int = -1) -> list[Listed]:
    """Return the containers that pass the filters, the newest first; only those that run, or all."""
    wanted = filters.parse(words, KEYS)
    tests = _tests(engine, wanted)
    every = every or bool({"status", "exited"} & wanted.keys())
    found = [listed(container) for container in containers.containers(engine).list()]
    passed = [
        one for one in found
        if (every or one.state in ("running", "paused", "starting")) and all(test(one) for test in tests)
    ]  # fmt: skip
    return passed[:count] if count > 0 else passed


def _tests(engine: Engine, wanted: dict[str, list[str]]) -> list[Test]:
    tests: list[Test] = []
    if "id" in wanted:
        tests.append(lambda one: any(one.container.id.startswith(value) for value in wanted["id"]))
    if "name" in wanted:
        patterns = [_pattern(value) for value in wanted["name"]]
        tests.append(lambda one: any(part.search(one.container.record.name) for part in patterns))
    if "status" in wanted:
        for value in wanted["status"]:
            if value not in STATES:
                raise UsageError(f"invalid filter 'status={value}'")
        tests.append(lambda one: one.state in wanted["status"])
    if "exited" in wanted:
        codes = {_code(value) for value in wanted["exited"]}
        tests.append(lambda one: one.state == "exited" and one.status.code in codes)
    tests += [_label(value) for value in wanted.get("label", ())]
    if "ancestor" in wanted:
        images = {_image(engine, value) for value in wanted["ancestor"]}
        tests.append(lambda one: str(one.container.record.image) in images)
    for key, newer in (("before", False), ("since", True)):
        tests += [_relative(engine, value, newer=newer) for value in wanted.get(key, ())]
    if "network" in wanted:
        tests.append(lambda one: one.network in wanted["network"])
    if "volume" in wanted:
        tests.append(lambda one: any(
            value in (mount.source, mount.target)
            for value in wanted["volume"] for mount in one.container.record.wishes.mounts
        ))  # fmt: skip
    return tests


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text.removeprefix("/").replace("^/", "^"))
    except re.error:
        raise UsageError(f"invalid filter 'name={text}'") from None


def _code(text: str) -> int:
    if not text.isdecimal() or len(text) > 3:
        raise UsageError(f"invalid filter 'exited={text}'")
    return int(text)


def _label(text: str) -> Test:
    name, equals, value = text.partition("=")

    def test(one: Listed) -> bool:
        labels = one.container.record.wishes.labels
        return name in labels and (not equals or labels[name] == value)

    return test


def _image(engine: Engine, word: str) -> str:
    from lamina_runtime.engine import naming

    try:
        return str(naming.resolve(engine.store, word).image.id)
    except NotFoundError:
        return ""


def _relative(engine: Engine, word: str, *, newer: bool) -> Test:
    other = containers.containers(engine).find(word).record.created
    if newer:
        return lambda one: one.container.record.created > other
    return lambda one: one.container.record.created < other


def check_prune(words: Sequence[str]) -> None:
    """Refuse filters that make no sense, before anything is asked or removed."""
    _prune_tests(words)


def _prune_tests(words: Sequence[str]) -> list[Test]:
    wanted = filters.parse(words, PRUNE_KEYS)
    tests = [_label(value) for value in wanted.get("label", ())]
    for value in wanted.get("label!", ()):
        unwanted = _label(value)
        tests.append(lambda one, unwanted=unwanted: not unwanted(one))  # type: ignore[misc]  # bound here
    for value in wanted.get("until", ()):
        moment = moments.from_filter(value)
        if moment is None:
            raise UsageError(f"invalid filter 'until={value}'")
        tests.append(lambda one, moment=moment: (one.created or 0.0) < moment)  # type: ignore[misc]
    return tests


def prune(engine: Engine, words: Sequence[str]) -> tuple[list[str], int]:
    """Remove what does not run; return their ids and the bytes that they had written."""
    tests = _prune_tests(words)
    removed, freed = [], 0
    for container in containers.containers(engine).list():
        one = listed(container)
        if one.state not in ("created", "exited") or not all(test(one) for test in tests):
            continue
        size = one.size()
        try:
            containers.remove(engine, container)
        except (ConflictError, NotFoundError):  # started, or removed, in between
            continue
        removed.append(container.id)
        freed += size
    return removed, freed


def _size(path: os.PathLike[str]) -> int:
    total = 0
    waiting: list[os.PathLike[str] | str] = [path]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:  # it is being removed, or a directory of another id is closed to us
            continue
    return total
