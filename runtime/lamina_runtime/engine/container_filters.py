"""`--filter` of `ps` and of `container prune`: read once, then asked for each container."""

from __future__ import annotations

import re

from lamina_runtime.engine import filters, moments
from lamina_runtime.errors import NotFoundError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lamina_runtime.engine.container_listing import Listed
    from lamina_runtime.engine.context import Engine

    Test = Callable[[Listed], bool]

KEYS = tuple(
    "id name label status exited ancestor before since network volume health restart-policy "
    "should-start-on-boot".split()
)
POLICIES = ("no", "always", "unless-stopped", "on-failure")
PRUNE_KEYS = ("label", "label!", "until")
HEALTH = ("starting", "healthy", "unhealthy", "none")
STATES = ("created", "restarting", "running", "removing", "paused", "exited", "dead", "starting")


def chosen_by(engine: Engine, wanted: dict[str, list[str]]) -> list[Test]:
    """Return what a container must pass; of several values of one key, one must hold (labels: all)."""
    tests = _of_states(wanted)
    if "id" in wanted:
        tests.append(lambda one: any(one.container.id.startswith(value) for value in wanted["id"]))
    if "name" in wanted:
        patterns = [_pattern(value) for value in wanted["name"]]
        tests.append(lambda one: any(part.search(one.container.record.name) for part in patterns))
    tests += [_label(value) for value in wanted.get("label", ())]
    if "ancestor" in wanted:
        images = {_image(engine, value) for value in wanted["ancestor"]}
        tests.append(lambda one: str(one.container.record.image) in images)
    for key, newer in (("before", False), ("since", True)):
        tests += [_relative(engine, value, newer=newer) for value in wanted.get(key, ())]
    tests += _of_policies(wanted)
    if "network" in wanted:
        tests.append(lambda one: not set(wanted["network"]).isdisjoint(one.network.split(",")))
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
    other = engine.containers.find(word).record.created
    if newer:
        return lambda one: one.container.record.created > other
    return lambda one: one.container.record.created < other


def _of_states(wanted: dict[str, list[str]]) -> list[Test]:
    tests: list[Test] = []
    if "status" in wanted:
        for value in wanted["status"]:
            if value not in STATES:
                raise UsageError(f"invalid filter 'status={value}'")
        tests.append(lambda one: one.state in wanted["status"])
    if "exited" in wanted:
        codes = {_code(value) for value in wanted["exited"]}
        tests.append(lambda one: one.state == "exited" and one.status.code in codes)
    if "health" in wanted:
        for value in wanted["health"]:
            if value not in HEALTH:
                raise UsageError(f"invalid filter 'health={value}'")
        tests.append(lambda one: one.health in wanted["health"])
    return tests


def _of_policies(wanted: dict[str, list[str]]) -> list[Test]:
    """Return podman's tests for what is to be started again, and what after a reboot."""
    tests: list[Test] = []
    if "restart-policy" in wanted:
        for value in wanted["restart-policy"]:
            if value not in POLICIES:
                raise UsageError(f"invalid filter 'restart-policy={value}'")
        tests.append(lambda one: (_policy(one) or "no") in wanted["restart-policy"])
    for value in wanted.get("should-start-on-boot", ()):
        if value not in ("true", "false"):
            raise UsageError(f"invalid filter 'should-start-on-boot={value}'")
        tests.append(lambda one, value=value: _boots(one) == (value == "true"))  # type: ignore[misc]  # bound here
    return tests


def _policy(one: Listed) -> str:
    return one.container.record.wishes.restart.partition(":")[0]


def _boots(one: Listed) -> bool:
    """Say whether a container belongs to what is brought up with the machine."""
    policy = _policy(one)
    return policy == "always" or (policy == "unless-stopped" and not one.container.was_stopped())


def for_pruning(words: Sequence[str]) -> list[Test]:
    """Return what a container must pass to be removed; UsageError for filters that make no sense."""
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
