"""Which proxy stands before a host: HTTP_PROXY, HTTPS_PROXY and NO_PROXY as Go's tools read them.

Theory.  The lower-case name wins.  Loopback never goes through a proxy.  NO_PROXY is a list of `*`, domains
(with all below them), addresses, networks in CIDR form, each optionally with a port.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from lamina_runtime.errors import UsageError

MAX_ENTRIES = 1024
_PORTS = {"http": 80, "https": 443}


def is_loopback(host: str) -> bool:
    """Say whether a host name or address means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def proxy_for(url: str, environment: Mapping[str, str]) -> SplitResult | None:
    """Return the proxy to use for `url`, None for a direct connection."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    value = _variable(environment, f"{parts.scheme}_proxy") or _variable(environment, "all_proxy")
    if not value or is_loopback(host) or _excluded(host, parts, _variable(environment, "no_proxy")):
        return None
    try:
        proxy = urlsplit(value if "://" in value else f"http://{value}")
        _ = proxy.port
    except ValueError as error:  # brackets that do not match, a port beyond 65535
        raise UsageError("the proxy of the environment is not an address") from error
    if proxy.scheme not in _PORTS or not proxy.hostname:
        shown = proxy.scheme + "://" + (proxy.hostname or "")
        raise UsageError(f"proxy {shown}: only http:// and https:// proxies are supported")
    return proxy


def _variable(environment: Mapping[str, str], name: str) -> str:
    return (environment.get(name) or environment.get(name.upper()) or "").strip()


def _excluded(host: str, parts: SplitResult, no_proxy: str) -> bool:
    port = parts.port or _PORTS.get(parts.scheme)
    return any(_matches(entry.strip().lower(), host, port) for entry in no_proxy.split(",")[:MAX_ENTRIES])


def _matches(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    network, address = _network(entry), _address(host)
    if network is not None:
        return address is not None and address in network
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit():
        if int(wanted[:6]) != port:
            return False
        entry = name.strip("[]")
    entry = entry.removeprefix("*").removeprefix(".")
    return bool(entry) and (host == entry or host.endswith(f".{entry}"))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
