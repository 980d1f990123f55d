"""resolv.conf and hosts of a container, from the host's and from what was wished."""

from __future__ import annotations

from typing import Any

import pytest
from lamina_runtime.container import resolving

HOST = """# of the host
domain old
nameserver 127.0.0.53
nameserver 10.1.1.1
nameserver fd00::1
options edns0
"""
OLD, EDNS = "domain old", "options edns0"


def made(**wished: Any) -> list[str]:
    """Return the lines but for comments."""
    plain: dict[str, Any] = {"servers": (), "search": (), "options": (), "helper": None}
    return resolving.resolver(HOST, **(plain | wished)).splitlines()[1:]


@pytest.mark.parametrize(
    ("wished", "wanted"),
    [
        ({}, HOST.splitlines()[1:]),
        (
            {"helper": "10.0.2.3"},
            [OLD, "nameserver 10.0.2.3", "nameserver 10.1.1.1", EDNS],
        ),
        ({"helper": ""}, [OLD, "nameserver 10.1.1.1", EDNS]),
        (
            {"servers": ["9.9.9.9"], "helper": "10.0.2.3"},
            [OLD, EDNS, "nameserver 9.9.9.9"],
        ),
        (
            {"search": ["a", "b"], "options": ["ndots:2"], "helper": ""},
            ["nameserver 10.1.1.1", "search a b", "options ndots:2"],
        ),
        ({"search": ["."], "helper": ""}, ["nameserver 10.1.1.1", EDNS]),
    ],
)
def test_resolver(wished: dict[str, Any], wanted: list[str]) -> None:
    assert made(**wished) == wanted


def test_hosts() -> None:
    text = resolving.hosts("10.0.2.100", ["me", "name", "me"], ["gw:host-gateway", "other:::1"], "192.0.2.1")
    assert text.splitlines()[2:] == [
        "10.0.2.100\tme name",
        "192.0.2.1\thost.docker.internal host.containers.internal",
        "192.0.2.1\tgw",
        "::1\tother",
    ]
