"""Published ports: from docker's words to `Port`, and from those to sockets that listen on the host.

Theory.  The sockets are made before anything of the container is, so that a port that is taken is
one line and leaves nothing; what they receive waits in them until the forwarder takes it.  "All
addresses" means a socket for IPv4 and one for IPv6, where the host has it, on the same port.
"""

from __future__ import annotations

import errno

from lamina_runtime import contexts
from lamina_runtime.container.wishes import Port
from lamina_runtime.errors import LaminaError, UsageError
from lamina_runtime.quick import socket
from lamina_runtime.value import replace, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PROTOCOLS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
BACKLOG = 512
TRIES = 16  # for one free port on both families
LAST = 65535
_RANGE = r"([0-9]{1,5})(?:-([0-9]{1,5}))?"


class PublishError(LaminaError):
    """A port of the host that is not to be had."""

    exit_code = 125


@value
class Bound:
    """A port of the host, and the container's that it leads to."""

    address: str
    host: int
    port: int
    protocol: str

    def __str__(self) -> str:
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{shown}:{self.host}"


def parse(text: str) -> list[Port]:
    """Read one --publish: [[ADDRESS:]HOST[-HOST]:]PORT[-PORT][/PROTOCOL]."""
    rest, protocol = _protocol(text)
    left, colon, inner = rest.rpartition(":")
    address, host = "", left
    if colon and (left.startswith("[") or ":" in left):
        address, _, host = left.rpartition(":")
        if left.startswith("[") and left.endswith("]"):  # [::1]:80 has no port of the host
            address, host = left, ""
        address = _address(address, text)
    first, last = _range(inner, "containerPort", text)
    if not host:
        return [Port(port, protocol, address) for port in range(first, last + 1)]
    low, high = _range(host, "hostPort", text)
    if first == last:
        return [Port(first, protocol, address, low, high)]
    if high - low != last - first:
        raise UsageError(f"invalid ranges specified for container and host Ports: {inner} and {host}")
    return [Port(first + i, protocol, address, low + i, low + i) for i in range(last - first + 1)]


def exposed(text: str) -> list[str]:
    """Read one --expose, or one of an image's ports: PORT[-PORT][/PROTOCOL]."""
    rest, protocol = _protocol(text)
    first, last = _range(rest, "port", text)
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def _protocol(text: str) -> tuple[str, str]:
    rest, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol not in PROTOCOLS:
        raise UsageError(f"invalid proto: {protocol}: tcp and udp can be forwarded ({text!r})")
    return rest, protocol


def _range(text: str, what: str, whole: str) -> tuple[int, int]:
    import re

    match = re.fullmatch(_RANGE, text)
    if not match:
        raise UsageError(f"invalid {what}: {text!r} (in {whole!r})")
    first, last = int(match[1]), int(match[2] or match[1])
    any_free = what == "hostPort" and first == last == 0
    if not any_free and not 0 < first <= last <= LAST:
        raise UsageError(f"invalid {what}: {text} (in {whole!r})")
    return first, last


def _address(text: str, whole: str) -> str:
    plain = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    for family in (socket.AF_INET, socket.AF_INET6):
        with contexts.suppress(OSError, ValueError):
            socket.inet_pton(family, plain)
            return plain
    raise UsageError(f"invalid IP address: {text} (in {whole!r})")


def listen(wished: Iterable[Port]) -> Iterator[tuple[Bound, socket.socket]]:
    """Yield a listening socket for each port and family; PublishError where one is not to be had.

    The sockets are the caller's from the moment he gets them.
    """
    for port in wished:
        yield from _listen(port)


def _listen(port: Port) -> list[tuple[Bound, socket.socket]]:
    addresses = [port.address] if port.address else ["0.0.0.0", "::"]
    failure: OSError | None = None
    choices: Sequence[int] = range(port.first, port.last + 1) if port.first else [0] * TRIES
    for number in choices:
        try:
            return _together(port, addresses, number)
        except OSError as error:
            failure = error
            if error.errno != errno.EADDRINUSE:
                break
    assert failure is not None
    raise _refusal(port, failure)


def _together(port: Port, addresses: Sequence[str], number: int) -> list[tuple[Bound, socket.socket]]:
    """Listen at all addresses on one port; all or none."""
    made: list[tuple[Bound, socket.socket]] = []
    try:
        for address in addresses:
            try:
                bound = _socket(port.protocol, address, number)
            except OSError as error:
                if made and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    continue  # no IPv6 on this host
                raise
            number = bound.getsockname()[1]
            made.append((Bound(address, number, port.port, port.protocol), bound))
    except BaseException:
        for _, one in made:
            one.close()
        raise
    return made


def _socket(protocol: str, address: str, number: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, PROTOCOLS[protocol])
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "tcp":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, number))
        if protocol == "tcp":
            made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def _refusal(port: Port, error: OSError) -> PublishError:
    number = f"{port.first}" if port.first == port.last else f"{port.first}-{port.last}"
    shown = f"[{port.address}]" if ":" in port.address else port.address or "0.0.0.0"
    what = f"cannot publish port {shown}:{number}/{port.protocol}"
    if error.errno == errno.EADDRINUSE:
        return PublishError(f"{what}: port is already allocated", hint="ss -lntup shows by whom")
    if error.errno == errno.EACCES:
        return PublishError(
            f"{what}: only root may listen there",
            hint=f"choose a higher port, or: sysctl net.ipv4.ip_unprivileged_port_start={port.first}",
        )
    return PublishError(f"{what}: {error.strerror}")


def shown(bound: Sequence[Bound], exposed: Iterable[str] = ()) -> str:
    """Return ports as `ps` shows them: neighbours joined, those only exposed behind."""
    words = []
    rows = sorted(bound, key=lambda one: (one.protocol, ":" in one.address, one.address, one.port, one.host))
    index = 0
    while index < len(rows):
        first = last = rows[index]
        while index + 1 < len(rows) and _follows(last, rows[index + 1]):
            index += 1
            last = rows[index]
        index += 1
        where = f"[{first.address}]" if ":" in first.address else first.address
        outer, inner = _span(first.host, last.host), _span(first.port, last.port)
        words.append(f"{where}:{outer}->{inner}/{first.protocol}")
    led = {f"{one.port}/{one.protocol}" for one in bound}
    return ", ".join([*words, *(port for port in exposed if port not in led)])


def _follows(last: Bound, following: Bound) -> bool:
    return following == replace(last, host=last.host + 1, port=last.port + 1)


def _span(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first}-{last}"
