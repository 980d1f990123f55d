"""Words of --publish to ports, ports to sockets and to what `ps` shows."""

from __future__ import annotations

import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lamina_runtime.container import ports
from lamina_runtime.container.ports import Bound
from lamina_runtime.container.wishes import Port
from lamina_runtime.errors import UsageError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("80", [Port(80)]),
        ("8080:80", [Port(80, "tcp", "", 8080, 8080)]),
        ("8080:80/udp", [Port(80, "udp", "", 8080, 8080)]),
        ("127.0.0.1:8080:80", [Port(80, "tcp", "127.0.0.1", 8080, 8080)]),
        ("127.0.0.1::80", [Port(80, "tcp", "127.0.0.1")]),
        ("[::1]:8080:80", [Port(80, "tcp", "::1", 8080, 8080)]),
        ("[::1]::80", [Port(80, "tcp", "::1")]),
        ("[::1]:80", [Port(80, "tcp", "::1")]),
        ("0:80", [Port(80)]),
        ("80-81", [Port(80), Port(81)]),
        ("90-91:80-81", [Port(80, "tcp", "", 90, 90), Port(81, "tcp", "", 91, 91)]),
        ("9000-9010:80", [Port(80, "tcp", "", 9000, 9010)]),
    ],
)
def test_dockers_forms(text: str, wanted: list[Port]) -> None:
    assert ports.parse(text) == wanted


@given(st.text(alphabet="0123456789:-/.[]tcpud a", max_size=24))
def test_anything_else_is_refused_in_words(text: str) -> None:
    try:
        found = ports.parse(text)
    except UsageError:
        return
    assert all(0 < port.port <= ports.LAST and port.protocol in ports.PROTOCOLS for port in found)


def test_all_or_none_listen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(ports.PublishError, match="already allocated"):
            list(ports.listen([Port(80, "tcp", "127.0.0.1", number, number)]))
        ((bound, one),) = ports.listen([Port(80, "tcp", "127.0.0.1", number, min(number + 50, ports.LAST))])
        with contextlib.closing(one):
            assert number < bound.host == one.getsockname()[1]


def test_both_families_have_one_port() -> None:
    found = list(ports.listen([Port(53, "udp")]))
    assert len({bound.host for bound, _ in found}) == 1
    assert [bound.address for bound, _ in found] in (["0.0.0.0", "::"], ["0.0.0.0"])
    for _, one in found:
        one.close()


def test_neighbours_are_shown_together() -> None:
    bound = [
        Bound("0.0.0.0", 90, 80, "tcp"),
        Bound("0.0.0.0", 91, 81, "tcp"),
        Bound("0.0.0.0", 95, 82, "tcp"),
        Bound("::", 90, 80, "tcp"),
        Bound("127.0.0.1", 53, 53, "udp"),
    ]
    assert ports.shown(bound, ["80/tcp", "99/tcp"]) == (
        "0.0.0.0:90-91->80-81/tcp, 0.0.0.0:95->82/tcp, [::]:90->80/tcp, 127.0.0.1:53->53/udp, 99/tcp"
    )
