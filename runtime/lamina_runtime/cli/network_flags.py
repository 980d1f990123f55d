"""--network, --publish, --expose, --add-host, --dns: what containers' networks are asked for."""

from __future__ import annotations

from lamina_runtime.cli.flags import LIST, STRING, Flag
from lamina_runtime.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lamina_runtime.cli.flags import Parsed

FLAGS = (
    Flag("add-host", "Add a custom host-to-IP mapping (host:ip)", kind=LIST),
    Flag("dns", "Set custom DNS servers", kind=LIST),
    Flag("dns-option", "Set DNS options", kind=LIST),
    Flag("dns-search", "Set custom DNS search domains", kind=LIST),
    Flag("expose", "Expose a port or a range of ports", kind=LIST),
    Flag("hostname", "Container host name", short="h", kind=STRING),
    Flag(
        "network",
        'Connect a container to a network ("host", "none", "private", "slirp4netns[:OPTIONS]", "pasta")',
        kind=LIST,
        word="network",
    ),
    Flag("publish", "Publish a container's port(s) to the host", short="p", kind=LIST),
    Flag("publish-all", "Publish all exposed ports to random ports", short="P"),
)
MODES = frozenset(("", "none", "host", "default", "bridge", "private", "slirp4netns", "pasta"))
_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"


def wishes(parsed: Parsed) -> dict[str, Any]:
    """Return the fields of `Wishes` that are about the network."""
    published, exposed = parsed.several("publish"), parsed.several("expose")
    if published or exposed:
        from lamina_runtime.container import ports

    return {
        "hostname": _hostname(parsed.text("hostname")),
        **_networks(parsed),
        "ports": tuple(port for text in published for port in ports.parse(text)),
        "expose": tuple(port for text in exposed for port in ports.exposed(text)),
        "publish_all": parsed.switch("publish_all"),
        "hosts": tuple(_host(text) for text in parsed.several("add_host")),
        "dns": tuple(address("dns", text) for text in parsed.several("dns")),
        "dns_search": tuple(_word("dns-search", text) for text in parsed.several("dns_search")),
        "dns_options": tuple(_word("dns-option", text) for text in parsed.several("dns_option")),
    }


def _networks(parsed: Parsed) -> dict[str, Any]:
    from lamina_runtime.engine import networking

    given = parsed.several("network")
    if len(given) > 1:
        raise UsageError("--network: one of them only")
    mode, _, rest = (given[0] if given else "").partition(":")
    if mode not in MODES:
        raise UsageError(f"network {mode} not found")
    options = tuple(option for option in rest.split(",") if option)
    networking.check(mode, options)
    return {"network": mode, "network_options": options}


def _hostname(name: str) -> str:
    if not name:
        return name
    import re

    if len(name) > 63 or not re.fullmatch(_HOST, name):
        raise UsageError(f"invalid hostname format: {name}")
    return name


def _host(text: str) -> str:
    name, _, where = text.partition("=") if "=" in text else text.partition(":")
    if not name or any(letter.isspace() for letter in name):
        raise UsageError(f'bad format for add-host: "{text}"')
    from lamina_runtime.container import resolving

    if where == resolving.GATEWAY:
        return f"{name}:{where}"
    return f"{name}:{address('add-host', where.strip('[]'))}"


def _word(flag: str, text: str) -> str:
    if not text or not text.isprintable() or " " in text:
        raise UsageError(f'invalid argument "{text}" for "--{flag}" flag')
    return text


def address(flag: str, text: str) -> str:
    """Return an address of either family; UsageError for anything else."""
    import socket

    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
        return text
    raise UsageError(f'invalid argument "{text}" for "--{flag}" flag: {text} is not an ip address')
