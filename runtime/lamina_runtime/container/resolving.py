"""/etc/hosts and /etc/resolv.conf of a container, as text.

Theory.  Pure.  What stands here holds for the container's life; the names of others on its networks
come and go, and are written by the networks' keepers (network.keeping).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LOCAL = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
HOST_NAMES = "host.docker.internal host.containers.internal"
GATEWAY = "host-gateway"


def hosts(own: str, names: Sequence[str], wished: Iterable[str], gateway: str) -> str:
    """Return a hosts file: our address and names, what --add-host wants, the host's address."""
    rows = [f"{own}\t{' '.join(dict.fromkeys(names))}"]
    if gateway:
        rows.append(f"{gateway}\t{HOST_NAMES}")
    for row in wished:
        name, _, address = row.partition(":")
        rows.append(f"{gateway if address == GATEWAY else address}\t{name}")
    return LOCAL + "".join(f"{row}\n" for row in rows)


def resolver(
    host: str,
    *,
    servers: Sequence[str],
    search: Sequence[str],
    options: Sequence[str],
    helper: str | None,
) -> str:
    """Return resolv.conf: the host's, what was wished in the place of lines of its kind.

    `helper` is the address of a resolver that leads to the host's, "" where the host's own loopback
    cannot be reached and there is none, None where the container is on the host's network.
    """
    lines = host.splitlines()
    taken = [word for word, values in (("nameserver", servers), ("search", search), ("options", options))
             if values]  # fmt: skip
    if search:
        taken.append("domain")
    lines = [line for line in lines if line.split()[:1] not in [[word] for word in taken]]
    if helper is not None and not servers:
        lines = [line for line in lines if _reached(line)]
        if helper:
            first = next((i for i, line in enumerate(lines) if line.startswith("nameserver")), len(lines))
            lines.insert(first, f"nameserver {helper}")
    lines += [f"nameserver {address}" for address in servers]
    if search and tuple(search) != (".",):
        lines.append(f"search {' '.join(search)}")
    if options:
        lines.append(f"options {' '.join(options)}")
    return "".join(f"{line}\n" for line in lines)


def _reached(line: str) -> bool:
    """Whether a line can stay on another network than the host's: no server on loopback, none of IPv6."""
    words = line.split()
    if words[:1] != ["nameserver"] or len(words) < 2:
        return True
    import ipaddress

    try:
        address = ipaddress.ip_address(words[1].partition("%")[0])
    except ValueError:
        return False
    return address.version == 4 and not address.is_loopback
