"""From a bundle's config.json (runtime-spec) to the launcher's plan.

Theory.  Pure but for the machine's name: what the host can do was decided when the bundle was made;
here each property becomes its records, in the order in which the launcher wants them.  What a
config.json may say that the launcher cannot do is refused, never left out.
"""

from __future__ import annotations

import os

from lamina_runtime.container import capabilities
from lamina_runtime.container.common import BELOW, DEVICES, USER
from lamina_runtime.container.records import Op, Record
from lamina_runtime.container.seccomp import assembler, tables
from lamina_runtime.container.seccomp.emulation import NOTIFY
from lamina_runtime.errors import LaminaError
from lamina_runtime.store.lease import start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    Spec = Mapping[str, Any]

NAMESPACES = {
    "time": 0x00000080,
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "network": 0x40000000,
}
_ATTRIBUTES = {  # mount_setattr(2)
    "ro": 0x01,
    "nosuid": 0x02,
    "nodev": 0x04,
    "noexec": 0x08,
    "noatime": 0x10,
    "strictatime": 0x20,
    "nodiratime": 0x80,
    "nosymfollow": 0x200000,
}
_ENTERED = r"/proc/([1-9][0-9]*)/ns/[a-z]+"
_DEFAULTS = frozenset("rw suid dev exec atime relatime diratime symfollow async norelatime".split())
_PROPAGATION = {  # mount(2)
    "unbindable": 1 << 17,
    "private": 1 << 18,
    "slave": 1 << 19,
    "shared": 1 << 20,
}
_RLIMITS = (
    "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME"
).split()


class PlanError(LaminaError):
    """A config.json that the launcher cannot carry out."""

    exit_code = 125


def container(spec: Spec) -> Iterator[Record]:
    """Yield the records of a whole container."""
    yield from namespaces(spec.get("linux", {}))
    yield from _root(spec)
    own = any(row["type"] == "mount" for row in spec.get("linux", {}).get("namespaces", ()))
    denied = _denies_devices(spec.get("linux", {}))
    for mount in spec.get("mounts", ()):
        yield from mounted(mount, denied=denied) if own else _copied(mount)
    yield from _devices(spec.get("linux", {}))
    yield from parameters(spec.get("linux", {}).get("sysctl", {}))
    yield from _hidden(spec.get("linux", {}))
    yield from _names(spec)
    user = spec.get("annotations", {}).get(USER)
    yield from process(spec["process"], user, linux=spec.get("linux", {}), create=True)


def process(spec: Spec, user: str | None = None, *, linux: Spec, create: bool = False) -> Iterator[Record]:
    """Yield the records of one process, the container's first or one that joins it.

    With `create` a working directory that is not there is made: the first process' alone.
    With `user` ("name", "uid", "name:group" ...) it is looked up among the root's own users.
    `linux` is the container's, of which its filter and its ids hold for every process.
    """
    if spec.get("terminal"):
        size = spec.get("consoleSize", {})
        yield Record(Op.TERMINAL, size.get("height", 0), size.get("width", 0))
    for limit in spec.get("rlimits", ()):
        kind = limit["type"].removeprefix("RLIMIT_")
        if kind not in _RLIMITS:
            raise PlanError(f"unknown resource limit: {limit['type']}")
        yield Record(Op.RLIMIT, _RLIMITS.index(kind), limit["soft"], limit["hard"])
    if "oomScoreAdj" in spec:
        yield Record(Op.OOM_SCORE, spec["oomScoreAdj"])
    yield Record(Op.CWD, spec["cwd"], "create" if create else "")
    if user is None:
        yield from _user(spec["user"])
    else:
        yield Record(Op.USER, user)
    yield from _capabilities(spec.get("capabilities"))
    if spec.get("noNewPrivileges"):
        yield Record(Op.NO_NEW_PRIVS)
    yield from _confinement(linux)
    for word in spec.get("env", ()):
        yield Record(Op.ENV, word)
    for word in spec["args"]:
        yield Record(Op.ARG, word)


def joined(pid: int, kinds: Sequence[str]) -> Record:
    """Return the record that enters the namespaces of a running container.

    The process is named with its beginning: its number may be another's before the launcher looks.
    """
    return Record(Op.JOIN, pid, hex(sum(NAMESPACES[kind] for kind in kinds)), start_time(pid) or 0)


def namespaces(linux: Spec, *, left: Sequence[str] = ()) -> Iterator[Record]:
    """Yield what makes, maps or joins a container's namespaces, but for those that are left to others."""
    flags, entered, pids = 0, 0, set()
    rows = linux.get("namespaces", ())
    yield Record(Op.WHOLE, hex(sum(NAMESPACES[row["type"]] for row in rows)))
    for namespace in rows:
        kind, path = namespace["type"], namespace.get("path")
        if not path:
            flags |= 0 if kind in left else NAMESPACES[kind]
            continue
        import re

        pid = re.fullmatch(_ENTERED, path)
        if not pid or kind not in ("user", "network"):
            raise PlanError(f"cannot join the {kind} namespace {path}")
        pids.add(pid[1])
        entered |= NAMESPACES[kind]
    if len(pids) > 1:
        raise PlanError("cannot join the namespaces of several processes")
    for one in pids:
        yield Record(Op.JOIN, one, hex(entered))
    yield Record(Op.NAMESPACES, hex(flags))
    if entered & NAMESPACES["user"]:
        return  # it is mapped
    for op, key in ((Op.UIDMAP, "uidMappings"), (Op.GIDMAP, "gidMappings")):
        for row in linux.get(key, ()):
            yield Record(op, row["containerID"], row["hostID"], row["size"])


def _root(spec: Spec) -> Iterator[Record]:
    own = any(row["type"] == "mount" for row in spec.get("linux", {}).get("namespaces", ()))
    mode = "ro" if spec["root"].get("readonly") else "rw"
    attributes = _ATTRIBUTES["nodev"] if _denies_devices(spec.get("linux", {})) else 0
    if mode == "ro" and not own:
        raise PlanError("a read-only root needs a mount namespace")
    yield Record(Op.ROOT, spec["root"]["path"], "pivot" if own else "chroot", mode, hex(attributes))


def _denies_devices(linux: Spec) -> bool:
    """Say whether nodes of devices shall not work but for those that are mounted as such.

    There is no control group for devices here.  What it is to keep root's containers from, with
    CAP_MKNOD, is to make the node of a disk, or to have one in the image; so nodes do not work in any
    file system of the container, and the devices that it may have are mounts of their own.
    """
    rules = linux.get("resources", {}).get("devices", ())
    return any(not rule["allow"] and rule.get("type", "a") == "a" for rule in rules)


def mounted(mount: Spec, *, denied: bool = False) -> Iterator[Record]:
    """Yield the record of one of a config.json's mounts; see `_denies_devices`."""
    attributes, propagation, rest, kind = 0, 0, [], ""
    for option in mount.get("options", ()):
        plain = option.removeprefix("r")
        if option in _ATTRIBUTES:
            attributes |= _ATTRIBUTES[option]
        elif option in _PROPAGATION or (plain in _PROPAGATION and option != "ro"):
            propagation = _PROPAGATION[option if option in _PROPAGATION else plain]
        elif option in ("bind", "rbind"):
            kind = option
        elif option not in _DEFAULTS:
            rest.append(option)
    target = mount["destination"]
    if denied and (kind or mount["type"] == "tmpfs") and "dev" not in mount.get("options", ()):
        attributes |= _ATTRIBUTES["nodev"]
    if kind:
        if rest:
            raise PlanError(f"bind mount on {target}: unknown option {rest[0]}")
        recursive = "rec" if kind == "rbind" else ""
        top = mount.get(BELOW, mount["source"])  # the rest of the source is not ours to trust
        below = os.path.relpath(mount["source"], top) if BELOW in mount else ""
        yield Record(Op.BIND, top, target, hex(attributes), recursive, propagation, below)
    else:
        source = mount.get("source", mount["type"])
        yield Record(Op.MOUNT, mount["type"], source, target, hex(attributes), ",".join(rest))


def _copied(mount: Spec) -> Iterator[Record]:
    """Yield what stands for a bind mount of a file where nothing can be mounted."""
    if not {"bind", "rbind"} & set(mount.get("options", ())) or os.path.isdir(mount["source"]):
        raise PlanError(f"a mount on {mount['destination']} needs a mount namespace")
    yield Record(Op.COPY, mount["source"], mount["destination"])


def _devices(linux: Spec) -> Iterator[Record]:
    kinds = {"c": 0o020000, "u": 0o020000, "b": 0o060000, "p": 0o010000}
    for device in linux.get("devices", ()):
        mode = kinds[device["type"]] | device.get("fileMode", 0o666)
        yield Record(Op.NODE, device["path"], f"{mode:o}", device.get("major", 0), device.get("minor", 0))
    if any(row["type"] == "mount" for row in linux.get("namespaces", ())):
        # the default devices are the runtime's to supply (config-linux.md); the host's own, because
        # nodes made in a user namespace do not work
        for name in DEVICES:
            yield Record(Op.BIND, f"/dev/{name}", f"/dev/{name}", "0x0", "", 0)
        for link, target in (
            ("pts/ptmx", "/dev/ptmx"),
            ("/proc/self/fd", "/dev/fd"),
            ("/proc/self/fd/0", "/dev/stdin"),
            ("/proc/self/fd/1", "/dev/stdout"),
            ("/proc/self/fd/2", "/dev/stderr"),
        ):
            yield Record(Op.SYMLINK, link, target)


def _hidden(linux: Spec) -> Iterator[Record]:
    for path in linux.get("readonlyPaths", ()):
        yield Record(Op.READONLY, path)
    for path in linux.get("maskedPaths", ()):
        yield Record(Op.MASK, path)


def _names(spec: Spec) -> Iterator[Record]:
    if spec.get("hostname"):
        yield Record(Op.HOSTNAME, spec["hostname"])
    if spec.get("domainname"):
        yield Record(Op.DOMAINNAME, spec["domainname"])


def parameters(wished: Mapping[str, str]) -> Iterator[Record]:
    """Yield the records that set kernel parameters."""
    for key, value in wished.items():
        parts = key.split(".")
        if not all(parts) or "/" in key or ".." in parts:
            raise PlanError(f"no name of a kernel parameter: {key}")
        yield Record(Op.SYSCTL, "/".join(parts), value)


def _confinement(linux: Spec) -> Iterator[Record]:
    """Yield the filter, and whether there is one id only: then every user is that one."""
    if [row["size"] for row in linux.get("uidMappings", ())] == [1]:
        yield Record(Op.ALONE)
    if any(row["action"] == NOTIFY for row in linux.get("seccomp", {}).get("syscalls", ())):
        yield Record(Op.RECORD)
    if linux.get("seccomp"):
        native = tables.group(os.uname().machine)
        if not native:
            raise PlanError(f"no system call filter for the machine {os.uname().machine}")
        yield Record(Op.SECCOMP, assembler.assemble(linux["seccomp"], native))


def _user(user: Spec) -> Iterator[Record]:
    umask = f"{user['umask']:o}" if "umask" in user else ""
    yield Record(Op.IDS, user["uid"], user["gid"], umask)
    for gid in user.get("additionalGids", ()):
        yield Record(Op.GROUP, gid)


def _capabilities(sets: Spec | None) -> Iterator[Record]:
    if sets is None:
        return
    order = ("bounding", "permitted", "effective", "inheritable", "ambient")
    yield Record(Op.CAPABILITIES, *(f"{capabilities.mask(sets.get(name, ())):x}" for name in order))
