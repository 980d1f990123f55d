"""A container's config.json (runtime-spec), from its image's configuration and what was wished.

Theory.  Pure: what the host gives is handed in as `Place`.  The result is a valid bundle, so that
crun or runc can run it; our own launcher reads it through `plan`.  Image values are hostile input:
they end as arguments, never as options, and paths are cleaned to stay inside (the launcher holds
that in any case).

The user is resolved inside the container, from its own files, because only there the merged root
is seen; config.json, which wants numbers, has those that could be told before, and the name as an
annotation.
"""

from __future__ import annotations

import os
import posixpath

from lamina_runtime.container import capabilities, limits
from lamina_runtime.container.common import BELOW, DEVICES, NAMESPACES, USER
from lamina_runtime.container.common import Map as Map
from lamina_runtime.container.seccomp import default, emulation, profile, tables
from lamina_runtime.container.wishes import NOTHING, SUBPATH, Mount, Wishes
from lamina_runtime.errors import LaminaError
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from lamina_runtime.oci.container import ContainerConfig

VERSION = "1.0.2"  # nothing newer is used, and crun 1.8 refuses what it does not know
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# moby's defaults: daemon/pkg/oci/defaults.go of 28
MASKED = (
    "/proc/asound /proc/acpi /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list "
    "/proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap"
).split()
_SEPARATE = {  # runc's validateSysctl: what each namespace has of its own
    "ipc": ("kernel.msg*", "kernel.shm*", "kernel.sem", "fs.mqueue.*"),
    "network": ("net.*",),
    "uts": ("kernel.domainname", "kernel.hostname"),
}
READONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger".split()


class BundleError(LaminaError):
    """What was wished makes no container."""

    exit_code = 125


@value
class Place:
    """What the host gives a container."""

    root: str  # where its merged tree is mounted
    uids: tuple[Map, ...] = ()  # empty: no user namespace of its own
    gids: tuple[Map, ...] = ()
    files: Mapping[str, str] = NOTHING  # container's path: host's file
    volumes: Mapping[str, str] = NOTHING  # a volume's name: its directory
    have: frozenset[str] | None = None  # capabilities that we have to give, None: all
    own: Sequence[str] = NAMESPACES  # namespaces that can be made here
    proc: bool = True  # a fresh proc may be mounted (the outer one is not masked)
    system: os.uname_result = os.uname()
    joined: Mapping[str, str] = NOTHING  # kind of namespace: its path
    parameters: Mapping[str, str] = NOTHING  # sysctls unless wished otherwise
    profile: bytes = b""  # what is in the file that the wishes name as their filter

    @property
    def mounts(self) -> bool:
        """Whether a mount namespace is to be had; without one a changed root is all there is."""
        return "mount" in self.own

    @property
    def sealed(self) -> bool:
        """Whether programs gain no privileges: there are none to gain, or no right to filter otherwise."""
        return self.alone or (self.have is not None and "SYS_ADMIN" not in self.have)

    @property
    def alone(self) -> bool:
        """Whether there is one id only, so that root has to be played."""
        return [row.count for row in self.uids] == [1]


def make(image: ContainerConfig, wishes: Wishes, place: Place) -> dict[str, Any]:
    """Return a config.json.  BundleError where what is wished cannot be."""
    kinds = [kind for kind in place.own if kind not in wishes.share]
    spaces = ["user", *kinds] if place.uids else kinds
    linux: dict[str, Any] = {"namespaces": [_namespace(kind, place) for kind in spaces]}
    if place.uids:
        linux["uidMappings"] = _maps(place.uids)
        linux["gidMappings"] = _maps(place.gids)
    resources = limits.resources(wishes.resources) if wishes.resources else {}
    if not wishes.privileged:
        resources["devices"] = [{"allow": False, "access": "rwm"}]
    if resources:
        linux["resources"] = resources
    _refuse_the_hosts(wishes, spaces)
    if wishes.sysctls or place.parameters:
        linux["sysctl"] = {**place.parameters, **wishes.sysctls}
    if place.mounts:
        linux |= {name: paths for name, paths in hidden(wishes).items() if paths}
    else:
        _refuse_mounts(wishes)
        linux["devices"] = _nodes(place)
    seccomp = _filter(wishes, place)
    if seccomp:
        linux["seccomp"] = seccomp
    program = process(image, wishes, place)
    if place.sealed:
        # then the filter can come last, too
        program["noNewPrivileges"] = True
    if place.alone and emulation.APT_PLACE in place.files:
        program["env"] = _unless_set(program["env"], emulation.APT_VARIABLE, emulation.APT_PLACE)
    return {
        "ociVersion": VERSION,
        "root": {"path": place.root, "readonly": wishes.read_only},
        "hostname": wishes.hostname if "uts" in kinds else "",
        **({"domainname": wishes.domainname} if wishes.domainname else {}),
        "mounts": _mounts(wishes, place, kinds) if place.mounts else _files(place),
        "process": program,
        "annotations": {USER: wishes.user or image.user},
        "linux": linux,
    }


def _namespace(kind: str, place: Place) -> dict[str, str]:
    return {"type": kind, **({"path": place.joined[kind]} if kind in place.joined else {})}


def hidden(wishes: Wishes) -> dict[str, list[str]]:
    """Return what is masked and what is read-only of the system's paths."""

    def left(paths: Sequence[str]) -> list[str]:
        if wishes.privileged or "ALL" in wishes.unmask:
            return []
        if not wishes.unmask:
            return list(paths)
        import fnmatch

        return [path for path in paths if not any(fnmatch.fnmatchcase(path, one) for one in wishes.unmask)]

    return {"maskedPaths": [*left(MASKED), *wishes.mask], "readonlyPaths": left(READONLY)}


def _refuse_mounts(wishes: Wishes) -> None:
    """Say what needs a mount and cannot be left out."""
    for asked, what in (
        (wishes.mounts, "-v, --mount and --tmpfs"),
        (wishes.devices, "--device"),
        (wishes.read_only, "--read-only"),
        (wishes.sysctls, "--sysctl"),
        (wishes.mask, "--security-opt mask"),
    ):
        if asked:
            raise BundleError(
                f"{what} cannot be had: this host gives no mount namespace",
                hint="copy files in with 'lamina cp'; 'lamina doctor' says what would mend it",
            )


def _refuse_the_hosts(wishes: Wishes, spaces: Sequence[str]) -> None:
    """Refuse what would be set for the host, too, because the container has no such namespace."""
    if wishes.domainname and "uts" not in spaces:
        raise BundleError("--domainname: the container shares the host's uts namespace")
    if not wishes.sysctls:
        return
    import fnmatch

    for name in wishes.sysctls:
        kinds = (
            kind for kind, names in _SEPARATE.items() if any(fnmatch.fnmatchcase(name, one) for one in names)
        )
        kind = next(kinds, "")
        if not kind:
            raise BundleError(f"sysctl {name!r}: no namespace of a container has it apart from the host")
        if kind not in spaces:
            raise BundleError(f"sysctl {name!r}: the container shares the host's {kind} namespace")


def _nodes(place: Place) -> list[dict[str, Any]]:
    """Return the devices that have to be made where the host's cannot be mounted."""
    if place.have is not None and "MKNOD" not in place.have:
        return []
    return [
        {"path": f"/dev/{name}", "type": "c", "major": major, "minor": minor, "fileMode": 0o666}
        for name, (major, minor) in DEVICES.items()
    ]


def kept(wishes: Wishes, place: Place) -> frozenset[str]:
    """Return the capabilities of a container.

    A changed root alone does not hold who may change it again, or make the disk's device.
    """
    chosen = capabilities.chosen(add=wishes.cap_add, drop=wishes.cap_drop, privileged=wishes.privileged)
    if not place.mounts:
        chosen -= {"SYS_CHROOT", "MKNOD"} - {capabilities.normal(name) for name in wishes.cap_add}
    return chosen if place.have is None else chosen & place.have


def process(image: ContainerConfig, wishes: Wishes, place: Place) -> dict[str, Any]:
    """Return the part about the program, which exec has too."""
    names = [f"CAP_{name}" for name in sorted(kept(wishes, place))]
    value: dict[str, Any] = {
        "terminal": wishes.terminal,
        "args": arguments(image, wishes),
        "env": environment(image, wishes),
        "cwd": _clean(wishes.working_dir or image.working_dir or "/"),
        "user": _user(wishes.user or image.user),
        "capabilities": dict.fromkeys(("bounding", "permitted", "effective"), names),
        "noNewPrivileges": wishes.no_new_privileges,
        "rlimits": [
            {"type": f"RLIMIT_{limit.name.upper()}", "soft": limit.soft, "hard": limit.hard}
            for limit in wishes.limits
        ],
    }
    if wishes.oom_score is not None:
        value["oomScoreAdj"] = wishes.oom_score
    return value


def _filter(wishes: Wishes, place: Place) -> dict[str, Any] | None:
    """Return linux.seccomp: what was wished, and the play of root where there is one id."""
    native = tables.group(place.system.machine)
    unconfined = wishes.seccomp == "unconfined" or (wishes.privileged and not wishes.seccomp)
    if not native:
        if not unconfined:
            raise BundleError(
                f"no system call filter for the machine {place.system.machine}",
                hint="--security-opt seccomp=unconfined runs without one",
            )
        return None
    granted = kept(wishes, place)
    if unconfined:
        made = None
    elif wishes.seccomp:
        made = profile.resolve(
            place.profile,
            wishes.seccomp,
            capabilities=granted,
            native=native,
            release=place.system.release,
        )
    else:
        made = default.rules(granted, native)
    if not place.alone:
        return made
    return emulation.alone(made, native, recording=wishes.root_emulation == "record")


def _unless_set(words: Sequence[str], name: str, value: str) -> list[str]:
    taken = any(word.partition("=")[0] == name for word in words)
    return [*words] if taken else [*words, f"{name}={value}"]


def arguments(image: ContainerConfig, wishes: Wishes) -> list[str]:
    """Return the program: entrypoint and command, as docker combines them."""
    entrypoint = image.entrypoint or () if wishes.entrypoint is None else wishes.entrypoint
    command = wishes.command
    if not command and wishes.entrypoint is None:
        command = image.cmd or ()
    words = [*entrypoint, *command]
    if not words or not words[0]:
        raise BundleError("no command specified: the image has none, and none was given")
    return words


def environment(image: ContainerConfig, wishes: Wishes) -> list[str]:
    """Return NAME=value words; what is wished replaces what the image has."""
    words: dict[str, str] = {"PATH": PATH}
    if wishes.terminal:
        words["TERM"] = "TERM=xterm"
    if wishes.hostname:
        words["HOSTNAME"] = f"HOSTNAME={wishes.hostname}"
    for word in (*image.env, *wishes.env):
        words[word.partition("=")[0]] = word
    return list(words.values())


def _user(text: str) -> dict[str, int]:
    """Return the numbers that a name does not hide; the launcher resolves the rest inside."""
    uid, _, gid = text.partition(":")
    return {"uid": int(uid) if uid.isdecimal() else 0, "gid": int(gid) if gid.isdecimal() else 0}


def _maps(rows: Sequence[Map]) -> list[dict[str, int]]:
    return [{"containerID": row.inside, "hostID": row.outside, "size": row.count} for row in rows]


def _clean(path: str) -> str:
    """Return a path of the container, absolute and without dots."""
    return posixpath.normpath("/" + path.lstrip("/"))


def _mounts(wishes: Wishes, place: Place, kinds: Sequence[str]) -> list[dict[str, Any]]:
    table = [*_system(wishes, place, kinds), *_files(place)]
    asked = asked_for(wishes, place.volumes)
    taken = {row["destination"] for row in asked}
    devices = [_bind(host, inside, "bind", "dev") for host, inside in wishes.devices]
    return [row for row in table if row["destination"] not in taken] + asked + devices


def _system(wishes: Wishes, place: Place, kinds: Sequence[str]) -> list[dict[str, Any]]:
    quiet = ["nosuid", "noexec", "nodev"]
    pts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    access = "rw" if wishes.privileged else "ro"
    if any(row.inside <= 5 < row.inside + row.count for row in place.gids) or not place.gids:
        pts.append("gid=5")
    fresh = place.proc and "pid" in kinds
    return [
        _new("/proc", "proc", quiet) if fresh else _bind("/proc", "/proc", "rbind"),
        _new("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _new("/dev/pts", "devpts", pts),
        _new("/dev/shm", "tmpfs", [*quiet, "mode=1777", f"size={wishes.shm_size}"]),
        *([_new("/dev/mqueue", "mqueue", quiet)] if "ipc" in kinds else []),
        _new("/sys", "sysfs", [*quiet, access])
        if "network" in kinds
        else _bind("/sys", "/sys", "rbind", access),
    ]


def _files(place: Place) -> list[dict[str, Any]]:
    return [_bind(host, inside) for inside, host in place.files.items()]


def asked_for(wishes: Wishes, volumes: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what was wished to be mounted; `volumes` are their directories by their names."""
    rows = [_asked(mount, volumes) for mount in wishes.mounts]
    # parents before what lies below them, whatever the order of the flags
    return sorted(rows, key=lambda row: row["destination"].count("/"))


def _asked(mount: Mount, volumes: Mapping[str, str]) -> dict[str, Any]:
    target = _clean(mount.target)
    if target == "/":
        raise BundleError("a mount on / would hide the container")
    if mount.kind == "tmpfs":
        return _new(target, "tmpfs", ["nosuid", "nodev", *mount.options])
    if mount.kind == "volume" and mount.source not in volumes:
        raise BundleError(f"there is no volume {mount.source or 'without a name'}")
    source = volumes[mount.source] if mount.kind == "volume" else mount.source
    options = tuple(word for word in mount.options if word != "nocopy" and not word.startswith(SUBPATH))
    if not {"bind", "rbind"} & set(options):
        options = ("rbind", *options)
    below = mount.subpath
    if below:
        return {**_bind(f"{source}/{below}", target, *options), BELOW: source}
    return _bind(source, target, *options)


def _new(target: str, kind: str, options: Sequence[str]) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": kind, "options": list(options)}


def _bind(source: str, target: str, *options: str) -> dict[str, Any]:
    chosen = list(options) if {"bind", "rbind"} & set(options) else ["bind", *options]
    return {"destination": target, "type": "bind", "source": source, "options": chosen}
