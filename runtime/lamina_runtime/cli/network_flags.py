"""--network, --publish, --expose, --add-host, --dns: what containers' networks are asked for."""

from __future__ import annotations

from lamina_runtime.cli.flags import LIST, STRING, Flag
from lamina_runtime.container.wishes import Joined
from lamina_runtime.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
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
        'Connect a container to a network (a name, "host", "none", "private", "slirp4netns[:OPTIONS]")',
        kind=LIST,
        word="network",
    ),
    Flag("network-alias", "Add network-scoped alias for the container", kind=LIST),
    Flag("ip", "IPv4 address (e.g., 172.30.100.104)", kind=STRING),
    Flag("publish", "Publish a container's port(s) to the host", short="p", kind=LIST),
    Flag("publish-all", "Publish all exposed ports to random ports", short="P"),
)
MODES = frozenset(("", "none", "host", "default", "bridge", "private", "slirp4netns", "pasta", "container"))
_NETWORK = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}"
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
    mode, _, rest = (given[0] if given else "").partition(":")
    named = [text for text in given if text.partition(":")[0] not in MODES]
    aliases = tuple(_alias(text) for text in parsed.several("network_alias"))
    wished = parsed.text("ip") and _ip(parsed.text("ip"))
    if not named:
        if len(given) > 1:
            raise UsageError("--network: several can only be named networks")
        if aliases or wished:
            raise UsageError("--network-alias and --ip: only on a named network")
        options = tuple(option for option in rest.split(",") if option)
        networking.check(mode, options)
        refused = [
            flag for flag in ("publish", "publish_all", "dns", "add_host", "hostname") if flag in parsed.given
        ]
        if mode == "container" and refused:
            raise UsageError(
                f"conflicting options: --{refused[0].replace('_', '-')} and the container type network mode"
            )
        return {"network": mode, "network_options": options}
    if len(named) < len(given):
        raise UsageError(f"--network {mode}: not together with named networks")
    if len(named) > 1 and wished:
        raise UsageError("--ip: of which network? (--network name=NAME,ip=ADDRESS)")
    found = [_joined(text) for text in named]
    if len({one.name for one in found}) < len(found):
        raise UsageError("--network: a network is named twice")
    return {"networks": tuple(
        Joined(one.name, (*one.aliases, *aliases), one.address or wished) for one in found
    )}  # fmt: skip


def _joined(text: str) -> Joined:
    """Read NAME, or name=NAME[,alias=WORD][,ip=ADDRESS]."""
    if "=" not in text:
        return Joined(network_name(text))
    name, address = "", ""
    aliases = []
    for part in text.split(","):
        key, _, said = part.partition("=")
        match key:
            case "name":
                name = network_name(said)
            case "alias":
                aliases.append(_alias(said))
            case "ip":
                address = _ip(said)
            case _:
                raise UsageError(f'invalid argument "{text}" for "--network" flag: unexpected key {key!r}')
    return Joined(network_name(name), tuple(aliases), address)


def joined(name: str, aliases: Sequence[str], address: str) -> Joined:
    """Return what `network connect` asks for."""
    return Joined(name, tuple(_alias(text) for text in aliases), _ip(address) if address else "")


def network_name(text: str) -> str:
    """Return a name that a network may have."""
    import re

    if not re.fullmatch(_NETWORK, text):
        raise UsageError(f"network {text} not found")
    return text


def _alias(text: str) -> str:
    import re

    if not re.fullmatch(_HOST, text):
        raise UsageError(f"invalid alias: {text!r}")
    return text


def _ip(text: str) -> str:
    import socket

    try:
        socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):
        raise UsageError(f"invalid IPv4 address: {text}") from None
    return text


def _hostname(name: str) -> str:
    if not name:
        return name
    import re

    if len(name) > 63 or not re.fullmatch(_HOST, name):
        raise UsageError(f"invalid hostname format: {name}")
    return name


def _host(text: str) -> str:
    name, _, where = text.partition("=") if "=" in text else text.partition(":")
    if not name or not where or any(letter.isspace() for letter in name):
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
