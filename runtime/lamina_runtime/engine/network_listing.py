"""`network ls`, `inspect` and `prune`: the named networks, and those that are always there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lamina_runtime.engine import containers, filters, keepers, moments, networks
from lamina_runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lamina_runtime.engine.context import Engine

LIST_KEYS = ("dangling", "driver", "id", "label", "name", "scope", "type")
PRUNE_KEYS = ("label", "label!", "until")
DRIVERS = {"bridge": "bridge", "host": "host", "none": "null"}


class Listed(NamedTuple):
    """A network as it is shown."""

    name: str
    id: str
    driver: str
    created: str
    internal: bool
    labels: Mapping[str, str]
    network: networks.Network | None = None  # None: it is always there


def every(engine: Engine) -> list[Listed]:
    """Return all networks by their names."""
    from hashlib import sha256

    found = [
        Listed(name, sha256(name.encode()).hexdigest(), DRIVERS[name], "", internal=False, labels={})
        for name in networks.BUILT_IN
    ]
    found += [
        Listed(one.name, one.id, "bridge", one.created, one.internal, one.labels, one)
        for one in networks.every(engine)
    ]
    return sorted(found, key=lambda one: one.name)


def chosen(engine: Engine, words: Sequence[str]) -> list[Listed]:
    """Return the networks that pass the filters."""
    wanted = filters.parse(words, LIST_KEYS)
    found = every(engine)
    for key, values in wanted.items():
        if key == "dangling":
            used = _used(engine)
            dangling = filters.switch(wanted, "dangling")
            found = [one for one in found if one.network and (one.name not in used) is dangling]
        elif key == "label":
            found = [one for one in found if all(_labelled(one.labels, text) for text in values)]
        elif key == "type":
            if not set(values) <= {"custom", "builtin"}:
                raise UsageError(f"invalid filter 'type={values[0]}'")
            found = [one for one in found if ("custom" if one.network else "builtin") in values]
        elif key == "scope":
            found = [one for one in found if "local" in values]
        elif key == "driver":
            found = [one for one in found if one.driver in values]
        else:  # id, name: a part is enough
            found = [one for one in found if any(text in getattr(one, key) for text in values)]
    return found


def _labelled(labels: Mapping[str, str], text: str) -> bool:
    name, equals, value = text.partition("=")
    return name in labels and (not equals or labels[name] == value)


def _used(engine: Engine) -> set[str]:
    """Return the names of the networks that containers are meant to be on."""
    known = containers.containers(engine).list()
    return {joined.name for one in known for joined in one.record.wishes.networks}


def describe(engine: Engine, word: str) -> dict[str, Any]:
    """Return what docker says of a network."""
    listed = next((one for one in every(engine) if word in (one.name, one.id)), None)
    if listed is None:
        name = networks.find(engine, word).name
        listed = next(one for one in every(engine) if one.name == name)
    network = listed.network
    config, present = [], {}
    if network:
        config = [{"Subnet": str(network.subnet), "Gateway": network.gateway}]
        for row in keepers.members(engine, network):
            address = f"{row['address']}/{network.subnet.prefixlen}"
            present[row["id"]] = {"Name": row["names"][0], "IPv4Address": address}
    return {
        "Name": listed.name,
        "Id": listed.id,
        "Created": listed.created,
        "Scope": "local",
        "Driver": listed.driver,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": {}, "Config": config},
        "Internal": listed.internal,
        "Containers": present,
        "Options": {},
        "Labels": dict(listed.labels),
    }


def prune(engine: Engine, words: Sequence[str]) -> list[str]:
    """Remove the networks that no container is meant to be on; return their names."""
    wanted = filters.parse(words, PRUNE_KEYS)
    limits = [moments.from_filter(text) for text in wanted.get("until", ())]
    if None in limits:
        raise UsageError(f"invalid filter 'until={wanted['until'][0]}'")
    used, removed = _used(engine), []
    for one in networks.every(engine):
        created = moments.from_rfc3339(one.created) or 0.0
        if (
            one.name in used
            or not all(_labelled(one.labels, text) for text in wanted.get("label", ()))
            or any(_labelled(one.labels, text) for text in wanted.get("label!", ()))
            or any(limit is not None and created >= limit for limit in limits)
        ):
            continue
        keepers.remove(engine, one.name)
        removed.append(one.name)
    return removed
