"""`lamina inspect`: a container as docker describes it, as far as it has what docker's have."""

from __future__ import annotations

from datetime import UTC, datetime

from lamina_runtime import contexts
from lamina_runtime.container import bundle, health, limits
from lamina_runtime.engine import container_listing, networking
from lamina_runtime.errors import NotFoundError
from lamina_runtime.oci.container import ContainerConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lamina_runtime.container.limits import Limits
    from lamina_runtime.container.ports import Bound
    from lamina_runtime.container.state import Container
    from lamina_runtime.container.wishes import Mount, Wishes
    from lamina_runtime.engine.context import Engine

NEVER = "0001-01-01T00:00:00Z"  # Go's zero time


def describe(engine: Engine, container: Container, *, size: bool = False) -> dict[str, Any]:
    """Return what is known of a container, in docker's names and order."""
    record = container.record
    one = container_listing.listed(container)
    image = _image_config(engine, container)
    described = {
        "Id": record.id,
        "Created": record.created,
        "Path": record.command[0] if record.command else "",
        "Args": list(record.command[1:]),
        "State": _state(one),
        "Image": str(record.image),
        "ResolvConfPath": str(container.run / "resolv.conf"),
        "HostnamePath": str(container.run / "hostname"),
        "HostsPath": str(container.run / "hosts"),
        "LogPath": str(container.data / "log"),
        "Name": f"/{record.name}",
        "RestartCount": container.restarts(),
        "Driver": "lamina",
        "Platform": "linux",
        "HostConfig": _host(record.wishes, one.network),
        "GraphDriver": {
            "Data": {
                "MergedDir": str(container.run / "merged"),
                "UpperDir": str(container.data / "upper"),
                "WorkDir": str(container.data / "work"),
            },
            "Name": "lamina",
        },
        "Mounts": [_mount(engine, mount) for mount in record.wishes.mounts],
        "Config": _config(container, image),
        "NetworkSettings": _network(engine, one, image),
    }
    if size:
        described["SizeRw"] = one.size()
    return described


def _image_config(engine: Engine, container: Container) -> ContainerConfig:
    try:
        return engine.store.images.get(container.record.image).config.config
    except NotFoundError:
        return ContainerConfig()


def _state(one: container_listing.Listed) -> dict[str, Any]:
    status = one.status
    found = health.state(one.container)
    failed, reason = one.container.failure() if one.state == "created" else (0, "")
    return {
        "Status": one.state,
        "Running": one.state in ("running", "paused", "restarting"),
        "Paused": one.state == "paused",
        "Restarting": one.state == "restarting",
        "OOMKilled": one.container.was_short_of_memory(),
        "Dead": False,
        "Pid": status.pid,
        "ExitCode": failed or status.code,
        "Error": reason,
        "StartedAt": _moment(status.started),
        "FinishedAt": _moment(status.finished),
        **({"Health": found} if found else {}),
    }


def _moment(seconds: float) -> str:
    if not seconds:
        return NEVER
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _host(wishes: Wishes, network: str) -> dict[str, Any]:
    kind, _, limit = wishes.restart.partition(":")
    security = ["no-new-privileges"] if wishes.no_new_privileges else []
    if wishes.seccomp:
        security.append(f"seccomp={wishes.seccomp}")
    for name, paths in (("mask", wishes.mask), ("unmask", wishes.unmask)):
        security += [f"{name}={':'.join(paths)}"] if paths else []
    binds = [mount for mount in wishes.mounts if mount.kind != "tmpfs"]
    return {
        "Binds": [":".join(filter(None, (mount.source, mount.target, ",".join(mount.options))))
                  for mount in binds] or None,
        "NetworkMode": network,
        "PortBindings": _bindings(wishes),
        "PublishAllPorts": wishes.publish_all,
        "RestartPolicy": {"Name": kind or "no", "MaximumRetryCount": int(limit or 0)},
        "AutoRemove": wishes.auto_remove,
        "Runtime": wishes.runtime or "lamina",
        "CapAdd": list(wishes.cap_add) or None,
        "CapDrop": list(wishes.cap_drop) or None,
        "Dns": list(wishes.dns),
        "DnsOptions": list(wishes.dns_options),
        "DnsSearch": list(wishes.dns_search),
        "ExtraHosts": list(wishes.hosts) or None,
        "IpcMode": "host" if "ipc" in wishes.share else "private",
        "PidMode": "host" if "pid" in wishes.share else "",
        "UTSMode": "host" if "uts" in wishes.share else "",
        "Privileged": wishes.privileged,
        "ReadonlyRootfs": wishes.read_only,
        "SecurityOpt": security or None,
        "ShmSize": wishes.shm_size,
        **_limits(wishes.resources),
        "Sysctls": dict(wishes.sysctls),
        "Tmpfs": {mount.target: ",".join(mount.options) for mount in wishes.mounts if mount.kind == "tmpfs"},
        "Init": wishes.init,
        "Devices": [{"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": "rwm"}
                    for host, inside in wishes.devices],
        "Ulimits": [{"Name": one.name, "Soft": one.soft, "Hard": one.hard} for one in wishes.limits],
        "MaskedPaths": bundle.hidden(wishes)["maskedPaths"] or None,
        "ReadonlyPaths": bundle.hidden(wishes)["readonlyPaths"] or None,
    }  # fmt: skip


def _limits(wished: Limits) -> dict[str, Any]:
    swap = limits.resources(wished).get("memory", {}).get("swap", 0)
    return {
        "Memory": wished.memory,
        "MemorySwap": swap,
        "MemoryReservation": wished.memory_reservation,
        "NanoCpus": wished.nano_cpus,
        "CpuShares": wished.cpu_shares,
        "CpusetCpus": wished.cpuset_cpus,
        "PidsLimit": wished.pids or None,
        "BlkioWeight": wished.blkio_weight,
    }


def _mount(engine: Engine, mount: Mount) -> dict[str, Any]:
    propagation = next((word for word in mount.options if word.endswith(("shared", "slave"))), "rprivate")
    described = {
        "Type": mount.kind,
        "Source": mount.source,
        "Destination": mount.target,
        "Mode": ",".join(mount.options),
        "RW": "ro" not in mount.options,
        "Propagation": propagation,
    }
    if mount.kind != "volume":
        return described
    from lamina_runtime.engine import volumes

    place = ""
    with contexts.suppress(NotFoundError):  # removed by hand
        place = str(volumes.find(engine, mount.source).place)
    return described | {"Name": mount.source, "Source": place, "Driver": volumes.DRIVER, "Propagation": ""}


def _config(container: Container, image: ContainerConfig) -> dict[str, Any]:
    record = container.record
    wishes = record.wishes
    entrypoint = image.entrypoint if wishes.entrypoint is None else wishes.entrypoint
    command = wishes.command or (image.cmd if wishes.entrypoint is None else None)
    described = {
        "Hostname": wishes.hostname or record.id[:12],
        "Domainname": wishes.domainname,
        "User": wishes.user or image.user,
        "Tty": wishes.terminal,
        "OpenStdin": wishes.interactive,
        "Env": bundle.environment(image, wishes),
        "Cmd": None if command is None else list(command),
        "Image": record.image_name,
        "Volumes": {path: {} for path in image.volumes} or None,
        "WorkingDir": wishes.working_dir or image.working_dir,
        "Entrypoint": None if entrypoint is None else list(entrypoint),
        "Labels": {**image.labels, **wishes.labels},
        "StopSignal": wishes.stop_signal or image.stop_signal or "SIGTERM",
        "ExposedPorts": {port: {} for port in networking.exposed(wishes, image)},
    }
    check = health.merged(image.healthcheck, wishes.health)
    if check is not None:
        described["Healthcheck"] = check.to_json()
    if wishes.stop_timeout is not None:
        described["StopTimeout"] = wishes.stop_timeout
    return described


def _network(engine: Engine, one: container_listing.Listed, image: ContainerConfig) -> dict[str, Any]:
    pid, wishes = one.status.pid, one.container.record.wishes
    kept = networking.kept(one.container) if pid else {}
    own = {
        "IPAddress": kept.get("address", ""),
        "Gateway": kept.get("gateway", ""),
        "MacAddress": "",
    }
    return {
        "SandboxKey": f"/proc/{pid}/ns/net" if pid else "",
        "Ports": _ports(networking.published(one.container), networking.exposed(wishes, image))
        if pid
        else {},
        **own,
        "Networks": _networks(engine, one) if wishes.networks else {one.network: own},
    }


def _networks(engine: Engine, one: container_listing.Listed) -> dict[str, Any]:
    """Return what a container has on each of its named networks, as they are now."""
    from lamina_runtime.engine import membership, networks

    found: dict[str, Any] = {}
    for wished in one.container.record.wishes.networks:
        try:
            network = networks.find(engine, wished.name)
        except NotFoundError:
            continue
        row = membership.member(engine, network, one.container) if one.status.pid else None
        found[wished.name] = {
            "Aliases": list(wished.aliases) or None,
            "NetworkID": network.id,
            "IPAddress": row["address"] if row else "",
            "IPPrefixLen": network.subnet.prefixlen if row else 0,
            "Gateway": network.gateway if row and not network.internal else "",
            "MacAddress": "",
        }
    return found


def _ports(bound: list[Bound], exposed: list[str]) -> dict[str, list[dict[str, str]] | None]:
    found: dict[str, list[dict[str, str]] | None] = dict.fromkeys(exposed)
    for port in bound:
        row = {"HostIp": port.address, "HostPort": str(port.host)}
        name = f"{port.port}/{port.protocol}"
        found[name] = [*(found.get(name) or ()), row]
    return found


def _bindings(wishes: Wishes) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for port in wishes.ports:
        span = str(port.first) if port.first == port.last else f"{port.first}-{port.last}"
        row = {"HostIp": port.address, "HostPort": span if port.first else ""}
        found.setdefault(f"{port.port}/{port.protocol}", []).append(row)
    return found
