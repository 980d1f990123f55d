"""The network of a container that starts: which kind, what serves it, its names, its ports.

Theory.  Asked for nothing, a container gets a network of its own with a helper for the way out
(slirp4netns, pasta); where there is no helper it gets the host's, and a line on stderr
says so.  All that a start needs of it is one value, `Net`: records for the plan, files, sockets.
Published ports work in every network that is the container's own, helper or not, because the
forwarder is ours.

What the start chose is kept in the run directory while the container runs.
"""

from __future__ import annotations

import os
import sys

import lamina_runtime
from lamina_runtime import contexts
from lamina_runtime.container import resolving
from lamina_runtime.container.records import Op, Record
from lamina_runtime.container.wishes import Port
from lamina_runtime.errors import LaminaError, UsageError
from lamina_runtime.fspath import Path
from lamina_runtime.oci import json
from lamina_runtime.oci.errors import OciError
from lamina_runtime.programs import which
from lamina_runtime.quick import socket
from lamina_runtime.store import files
from lamina_runtime.value import MappingProxyType, fields, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ipaddress
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from lamina_runtime.container import ports
    from lamina_runtime.container.state import Container
    from lamina_runtime.container.wishes import Wishes
    from lamina_runtime.oci.container import ContainerConfig

KEPT = "network.json"
LARGEST_FILE = 1 << 20
DEFAULT = "bridge"  # docker's name of the network that nobody asked for
TUN = "/dev/net/tun"
SUBNET = "10.0.2.0/24"  # slirp4netns's
PARAMETERS = {"net.ipv4.ip_unprivileged_port_start": "0"}  # as docker has it
_SLIRP = {
    "allow_host_loopback": "switch",
    "cidr": "--cidr",
    "disable_dns": "--disable-dns",
    "enable_ipv6": "--enable-ipv6",
    "mtu": "--mtu",
    "outbound_addr": "--outbound-addr",
    "outbound_addr6": "--outbound-addr6",
}
_ELSEWHERE = "192.0.2.254"  # TEST-NET-1: asked for its route only


class NetworkError(LaminaError):
    """A network that cannot be had here."""

    exit_code = 125


@value
class Way:
    """How a container gets out."""

    kind: str  # "host", "none", "slirp4netns", "pasta", or a named network
    address: str = ""  # the container's own, "" where it has only its loopback
    router: str = ""  # where its packets go first
    gateway: str = ""  # the address by which the host is reached, "" where it is not
    resolver: str | None = None  # see resolving.resolver
    rows: tuple[Record, ...] = ()
    joined: Mapping[str, str] = MappingProxyType({})  # kind of namespace: path of the one to enter
    addresses: Mapping[str, str] = MappingProxyType({})  # on named networks, by their names
    files: Path | None = None  # where hosts and resolv.conf of another container are, which it shares

    note: str = ""  # what is to be said once the container runs

    @property
    def own(self) -> bool:
        """Whether the network is the container's own."""
        return self.kind != "host"


def way(wishes: Wishes) -> Way:
    """Choose how a container gets out; NetworkError where what was asked for is not to be had."""
    mode = wishes.network
    if mode == "host":
        return Way("host", gateway="127.0.0.1")
    if mode == "none":
        return Way("none", resolver="")
    if mode in ("slirp4netns", "pasta"):
        return _HELPERS[mode](_program(mode), wishes.network_options)
    for name in _HELPERS:
        program = which(name)
        if program and os.access(TUN, os.R_OK | os.W_OK):
            return _HELPERS[name](program, wishes.network_options)
    if mode == "private" or wishes.ports or wishes.publish_all:
        import logging

        logging.getLogger(__name__).warning("lamina: no slirp4netns or pasta: the container has no way out")
        return Way("none", resolver="")
    return _hosts("no slirp4netns or pasta")


def of_another(other: Container) -> Way:
    """Return the network of another container, which has to run."""
    name, pid = other.record.name, other.status().pid
    if not pid:
        raise NetworkError(f"cannot join network of a non running container: {name}")
    config = json.load((other.data / "config.json").read_bytes(), "config.json")
    kinds = {row["type"] for row in config["linux"]["namespaces"]}
    if "network" not in kinds:
        return Way("host", gateway="127.0.0.1")
    names = {"user": "user", "network": "net"}
    paths = {kind: f"/proc/{pid}/ns/{name}" for kind, name in names.items() if kind in kinds}
    return Way(f"container:{name}", address=kept(other).get("address", ""), joined=paths, files=other.run)


def instead(wishes: Wishes, chosen: Way, error: LaminaError) -> Way | None:
    """Return the network to try after a failure, None where it was asked for, or failed elsewhere."""
    asked = (
        wishes.network not in ("", "default", DEFAULT)
        or wishes.ports
        or wishes.publish_all
        or wishes.networks
    )
    if asked or not chosen.own or not str(error).startswith(("make a network namespace", "network: ")):
        return None
    return _hosts(str(error))


def check(mode: str, options: Sequence[str]) -> None:
    """Refuse options that a mode does not have."""
    known = {"slirp4netns": _SLIRP, "private": _SLIRP}.get(mode, {})
    if mode == "container":
        if len(options) != 1:
            raise UsageError("--network container: the name of one container is needed")
        return
    for option in options:
        name, _, value = option.partition("=")
        if name not in known or not value:
            raise UsageError(f"unknown option for the network {mode}: {option!r}")
        if name == "cidr":
            _subnet(value)
        elif known[name] in ("switch", "--disable-dns", "--enable-ipv6") and value not in ("true", "false"):
            raise UsageError(f"invalid value of {name}: {value!r}, true or false expected")
        elif name == "mtu" and not (value.isdecimal() and len(value) < 6 and 68 <= int(value) <= 65521):
            raise UsageError(f"invalid mtu: {value}")


def _hosts(why: str) -> Way:
    """Return the host's network where a container was to have its own."""
    return Way("host", gateway="127.0.0.1", note=f"{why}: the container shares the host's network")


def _program(name: str) -> str:
    found = which(name)
    if not found:
        package = "passt" if name == "pasta" else name
        raise NetworkError(f"network {name}: {name} is not installed", hint=f"apt-get install {package}")
    return found


def _subnet(text: str) -> ipaddress.IPv4Network:
    import ipaddress

    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        raise UsageError(f"invalid cidr: {text}") from None
    if network.prefixlen > 25:  # slirp4netns wants address 100
        raise UsageError(f"invalid cidr: {text}: at least a /25 is needed")
    return network


def _slirp(program: str, options: Sequence[str]) -> Way:
    given = dict(option.split("=", 1) for option in options)
    network = _subnet(given.get("cidr", SUBNET))
    loopback = given.pop("allow_host_loopback", "false") == "true"
    words = [
        program,
        "--configure",
        "--enable-sandbox",
        "--enable-seccomp",
        f"--mtu={given.pop('mtu', 65520)}",
    ]
    words += [] if loopback else ["--disable-host-loopback"]
    for name, text in given.items():
        flag = _SLIRP[name]
        if text == "true":
            words.append(flag)
        elif text != "false":
            words.append(f"{flag}={text}")
    words += ["--ready-fd=3", "--exit-fd=4", "{pid}", "tap0"]
    return Way(
        "slirp4netns",
        address=str(network[100]),
        router=str(network[2]),
        gateway=str(network[2]) if loopback else host_address(),
        resolver="" if given.get("disable_dns") == "true" else str(network[3]),
        rows=tuple(Record(Op.NETWORK, word) for word in words),
    )


def _pasta(program: str, _: Sequence[str]) -> Way:
    """Return pasta's way: the container gets the host's address, copied into its own namespace."""
    quiet = ["-t", "none", "-u", "none", "-T", "none", "-U", "none"]
    words = [program, "--config-net", *quiet, "--no-map-gw", "--quiet", "{pid}"]
    address = host_address()
    return Way("pasta", address, "", address, "", tuple(Record(Op.NETWORK, word) for word in words))


_HELPERS = {"slirp4netns": _slirp, "pasta": _pasta}


def host_address() -> str:
    """Return the address from which this host reaches others, "" where there is no route."""
    with contexts.suppress(OSError), contexts.ExitStack() as stack:
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stack.callback(probe.close)
        probe.connect((_ELSEWHERE, 9))
        return str(probe.getsockname()[0])
    return ""


@contexts.contextmanager
def begun(container: Container, chosen: Way, image: ContainerConfig) -> Iterator[list[Record]]:
    """Listen on the ports that are published, and yield the plan's records of the network.

    The sockets are the launcher's to inherit within the context.
    """
    wishes = container.record.wishes
    wished = wanted(wishes, image)
    if wished and not chosen.own:
        import logging

        logging.getLogger(__name__).warning("published ports are discarded on the host's network")
        wished = []
    rows = [*chosen.rows]
    from lamina_runtime.container import ports

    with contexts.ExitStack() as stack:
        found = []
        for bound, one in ports.listen(wished):
            stack.callback(one.close)
            os.set_inheritable(one.fileno(), True)  # noqa: FBT003 - os takes it no other way
            found.append((bound, one.fileno()))
        if found:
            rows += [Record(Op.LISTENER, fd) for _, fd in found]
            rows += _forwarder(found, [chosen.address] if chosen.address else ["127.0.0.1", "::1"])
        keep(container, chosen, [bound for bound, _ in found])
        yield rows


def wanted(wishes: Wishes, image: ContainerConfig) -> list[Port]:
    """Return the ports to publish, -P's among them."""
    wished = list(wishes.ports)
    if wishes.publish_all:
        led = {(port.port, port.protocol) for port in wished}
        for text in exposed(wishes, image):
            number, _, protocol = text.partition("/")
            if (int(number), protocol) not in led:
                wished.append(Port(int(number), protocol))
    return wished


def exposed(wishes: Wishes, image: ContainerConfig) -> list[str]:
    """Return the ports that --expose and the image name; nonsense in an image counts for nothing."""
    from lamina_runtime.container import ports

    found = dict.fromkeys(wishes.expose)
    for text in image.exposed_ports:
        with contexts.suppress(UsageError):
            found |= dict.fromkeys(ports.exposed(text))
    return sorted(found, key=lambda port: (port.partition("/")[2], int(port.partition("/")[0])))


def _forwarder(found: Sequence[tuple[ports.Bound, int]], targets: Sequence[str]) -> list[Record]:
    task = {"ports": [[fd, bound.protocol, bound.port] for bound, fd in found], "targets": list(targets)}
    script = str(Path(lamina_runtime.__file__).parent / "forward.py")
    words = [sys.executable, "-I", "-S", script, json.dump(task).decode()]
    return [Record(Op.FORWARD, word) for word in words]


def write_files(container: Container, chosen: Way, hostname: str) -> dict[str, str]:
    """Write hosts, hostname and resolv.conf; return {container's path: the host's}."""
    wishes, run = container.record.wishes, container.run
    if chosen.files:
        return {f"/etc/{name}": str(chosen.files / name) for name in ("hosts", "hostname", "resolv.conf")}
    if not chosen.gateway and any(row.endswith(f":{resolving.GATEWAY}") for row in wishes.hosts):
        raise NetworkError("--add-host host-gateway: this network has no way to the host")
    names = [hostname, *([container.record.name] if chosen.address else [])]
    texts = {
        "hostname": f"{hostname}\n",
        "hosts": resolving.hosts(chosen.address or "127.0.1.1", names, wishes.hosts, chosen.gateway),
        "resolv.conf": resolving.resolver(
            _host_resolver(),
            servers=wishes.dns,
            search=wishes.dns_search,
            options=wishes.dns_options,
            helper=chosen.resolver if chosen.kind != "none" else None,
        ),
    }
    for name, text in texts.items():
        (run / name).write_text(text, encoding="utf-8")
        os.chmod(run / name, 0o644)  # its users are not ours, whatever our umask
    return {f"/etc/{name}": str(run / name) for name in texts}


def _host_resolver() -> str:
    try:
        with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file:
            return file.read(LARGEST_FILE)
    except OSError:
        return ""


def keep(container: Container, chosen: Way, bound: Sequence[ports.Bound]) -> None:
    """Write down what the start chose."""
    text = {
        "kind": chosen.kind,
        "address": chosen.address,
        "gateway": chosen.router,
        "ports": [fields(one) for one in bound],
        "addresses": dict(chosen.addresses),
    }
    files.replace(container.run / KEPT, json.dump(text), temporary=container.run, durable=False)


def kept(container: Container) -> Mapping[str, Any]:
    """Return what the last start chose; empty where there was none since the machine came up."""
    with contexts.suppress(OSError, OciError):
        found: dict[str, Any] = json.load((container.run / KEPT).read_bytes(), KEPT)
        return found
    return {}


def published(container: Container) -> list[ports.Bound]:
    """Return the ports that a container which runs has on the host."""
    from lamina_runtime.container import ports

    return [ports.Bound(**row) for row in kept(container).get("ports", ())]


def name(container: Container) -> str:
    """Return the network's name as listings show it."""
    wishes = container.record.wishes
    if wishes.networks:
        return ",".join(one.name for one in wishes.networks)
    if wishes.network == "container":
        return f"container:{wishes.network_options[0]}"
    if wishes.network not in ("", "default", DEFAULT):
        return wishes.network
    return "host" if kept(container).get("kind") == "host" else DEFAULT
