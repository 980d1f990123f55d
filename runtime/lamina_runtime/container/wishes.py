"""What a user asked of a container: run's flags as values, kept with the container as JSON.

Everything is as the user said it, checked for form; what it means on this host is decided when
the bundle is made.
"""

from __future__ import annotations

from lamina_runtime.container.limits import Limits
from lamina_runtime.oci import json
from lamina_runtime.oci.container import Healthcheck
from lamina_runtime.value import MappingProxyType, fields, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NOTHING: Mapping[str, str] = MappingProxyType({})


SUBPATH = "subpath="  # option of a volume


@value
class Mount:
    """One of --mount, -v or --tmpfs; `source` is a path, a volume's name, or "" for a tmpfs."""

    kind: str  # "bind", "volume", "tmpfs"
    source: str
    target: str
    options: tuple[str, ...] = ()  # as in a bundle: ro, rbind, rslave, size=...; SUBPATH

    @property
    def subpath(self) -> str:
        """What of a volume is to be mounted, "" for all of it."""
        return next((word.removeprefix(SUBPATH) for word in self.options if word.startswith(SUBPATH)), "")


@value
class Limit:
    """One --ulimit, by its name without RLIMIT_."""

    name: str
    soft: int
    hard: int


@value
class Port:
    """One port of the container to be reached through the host; expanded from --publish."""

    port: int  # in the container
    protocol: str = "tcp"  # or "udp"
    address: str = ""  # of the host, "" for all
    first: int = 0  # on the host: the first that is free from here ...
    last: int = 0  # ... to here; 0 and 0 for any


@value
class Joined:
    """A named network that the container is on."""

    name: str
    aliases: tuple[str, ...] = ()
    address: str = ""  # the one wished, "" for any


@value
class Wishes:
    """A container as wished; None and empty mean what the image or the default says."""

    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()  # NAME=value
    user: str = ""
    working_dir: str = ""
    hostname: str = ""
    domainname: str = ""
    terminal: bool = False
    interactive: bool = False
    read_only: bool = False
    init: bool = False
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    no_new_privileges: bool = False
    mask: tuple[str, ...] = ()  # paths to hide, besides the usual ones
    unmask: tuple[str, ...] = ()  # paths, with wildcards, to leave as they are; "ALL"
    root_emulation: str = ""  # "record": owners that programs wish are kept; else they are not
    seccomp: str = ""  # "unconfined" or a profile's path
    mounts: tuple[Mount, ...] = ()
    devices: tuple[tuple[str, str], ...] = ()  # on the host, in the container
    limits: tuple[Limit, ...] = ()
    sysctls: Mapping[str, str] = NOTHING
    labels: Mapping[str, str] = NOTHING
    oom_score: int | None = None
    shm_size: int = 64 << 20  # bytes
    share: tuple[str, ...] = ()  # namespaces of the host to stay in: "network", "pid", "ipc", "uts"
    network: str = ""  # --network's mode as given, "" where nothing or named networks were
    network_options: tuple[str, ...] = ()  # NAME=value behind the mode
    networks: tuple[Joined, ...] = ()
    ports: tuple[Port, ...] = ()
    expose: tuple[str, ...] = ()  # PORT/PROTOCOL
    publish_all: bool = False
    hosts: tuple[str, ...] = ()  # NAME:ADDRESS, or NAME:host-gateway
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    stop_signal: str = ""
    stop_timeout: int | None = None  # seconds; negative: wait for ever
    runtime: str = ""  # an OCI runtime's name or path, "" for our own launcher
    auto_remove: bool = False
    resources: Limits = Limits()
    health: Healthcheck | None = None
    restart: str = ""  # "no", "always", "unless-stopped", "on-failure", "on-failure:N"

    def to_json(self) -> dict[str, Any]:
        """Return the object to keep."""
        mappings = {"sysctls": dict(self.sysctls), "labels": dict(self.labels)}
        plain = {name: found for name, found in fields(self).items() if name not in mappings}
        plain["mounts"] = [fields(mount) for mount in self.mounts]
        plain["resources"] = fields(self.resources)
        plain["health"] = self.health and self.health.to_json()
        for name in ("limits", "networks", "ports"):
            plain[name] = [fields(part) for part in getattr(self, name)]
        return plain | mappings

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Wishes:
        """Read what to_json() wrote."""
        value: dict[str, Any] = {name: _tuples(kept[name]) for name in cls.__match_args__ if name in kept}
        value["mounts"] = tuple(
            Mount(**{key: _tuples(part) for key, part in mount.items()}) for mount in kept.get("mounts", ())
        )
        value["resources"] = Limits(**kept.get("resources", {}))
        health = kept.get("health")
        value["health"] = Healthcheck.from_json(json.Object(health, "health")) if health else None
        for name, kind in (("limits", Limit), ("networks", Joined), ("ports", Port)):
            value[name] = tuple(
                kind(**{key: _tuples(part) for key, part in row.items()}) for row in kept.get(name, ())
            )
        for name in ("sysctls", "labels"):
            value[name] = MappingProxyType(dict(kept.get(name, {})))
        return cls(**value)


def _tuples(value: Any) -> Any:
    """Return lists of JSON as the tuples they were."""
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
