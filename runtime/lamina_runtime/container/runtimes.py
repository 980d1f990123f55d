"""Containers that an OCI runtime (crun, runc) starts in our launcher's place: `--runtime`.

Theory.  The container is decided on as any other, and its config.json is the same.  Our launcher makes
the user, mount and network namespaces of it, mounts the root and leads the network out; the runtime,
called within them as root, makes the rest (native/launch/oci.h).  So what it is handed is the config.json
less what is there already.  From then on there is no difference: the first process is known, and all
verbs work with that.

Limits stay ours, since a plain user's runtime has no control groups; root's makes some, in which it
allows the usual devices only (with ours, nodes of devices do not work at all).
"""

from __future__ import annotations

import os

from lamina_runtime.container import launch, plan
from lamina_runtime.container.bundle import BundleError
from lamina_runtime.container.common import USER
from lamina_runtime.container.records import Op, Record
from lamina_runtime.oci import json
from lamina_runtime.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from lamina_runtime.container.state import Container
    from lamina_runtime.container.wishes import Wishes
    from lamina_runtime.fspath import Path

PLACES = "/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin:/bin:/sbin"  # as podman looks for them
INIT = "/dev/init"  # on the container's tmpfs, where nothing of the image is changed
INITS = ("catatonit", "tini", "docker-init", "dumb-init")  # each takes `-- PROGRAM`
LEFT = ("pid", "ipc", "uts", "cgroup", "time")  # namespaces that the runtime makes
LOG_LIMIT = 1 << 16
_ABSENT = ("executable file not found", "no such file or directory")  # moby's daemon/start.go
_BARRED = ("permission denied", "not a directory", "is a directory", "exec format error")


def find(name: str) -> str:
    """Return a runtime's path; BundleError where there is none."""
    import shutil

    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{PLACES}")
    if found is None:
        raise BundleError(
            f"unknown or invalid runtime name: {name}",
            hint="crun and runc are looked for on PATH; without --runtime lamina starts containers itself",
        )
    return os.path.abspath(found)


def check(wishes: Wishes) -> None:
    """Refuse what cannot be had of the runtime that is wished."""
    find(wishes.runtime)
    if wishes.root_emulation == "record":
        raise BundleError("--root-emulation record works with lamina's own launcher only, not with --runtime")
    if any(mount.subpath for mount in wishes.mounts):
        raise BundleError(
            "volume-subpath works with lamina's own launcher only, not with --runtime",
            hint="runtimes resolve links of the path without holding them within the volume",
        )
    if wishes.init:
        _init()


def start(
    spec: Mapping[str, Any], container: Container, around: Sequence[Record], *, client: int | None
) -> launch.Started:
    """Start a container by the runtime that it wishes for; LaunchError in the runtime's words."""
    wishes, directory = container.record.wishes, container.run / "bundle"
    directory.mkdir(mode=0o700, exist_ok=True)
    files.remove(directory / "log")
    rows = records(spec, wishes, name=container.id, directory=directory)
    try:
        return launch.start([*rows, *around], client=client, errors=container.run / "errors")
    except launch.LaunchError as refused:
        if refused.rung != "runtime":
            raise
        raise _explained(refused, wishes, directory) from None


def records(spec: Mapping[str, Any], wishes: Wishes, *, name: str, directory: Path) -> Iterator[Record]:
    """Yield the plan of a container that a runtime starts from a bundle in `directory`."""
    if all(row["type"] != "mount" for row in spec["linux"]["namespaces"]):
        raise BundleError(f"--runtime {wishes.runtime}: no mount namespace on this host to call it in")
    path = find(wishes.runtime)
    words = [
        path,
        "--root",
        str(directory / "state"),
        "--log",
        str(directory / "log"),
        "--log-format",
        "json",
    ]
    if "crun" in os.path.basename(path) and any(row["type"] == "user" for row in spec["linux"]["namespaces"]):
        words.append("--cgroup-manager=disabled")  # root's keep theirs: they hold devices back
    for word in words:
        yield Record(Op.RUNTIME, word)
    yield Record(Op.ROOT, spec["root"]["path"], "aside", "rw")
    yield from plan.namespaces(spec["linux"], left=LEFT)
    before, after = _halves(handed(spec, wishes))
    yield Record(Op.BUNDLE, str(directory), name, before, after)
    yield from plan.parameters(_parameters(spec, network=True))
    user = spec.get("annotations", {}).get(USER)
    yield from plan.process(spec["process"], user, linux=spec["linux"])


def handed(spec: Mapping[str, Any], wishes: Wishes) -> dict[str, Any]:
    """Return the config.json for the runtime: what is made around it is no longer asked for."""
    gone = ("uidMappings", "gidMappings", "resources", "sysctl", "namespaces")
    linux = {key: value for key, value in spec["linux"].items() if key not in gone}
    linux["namespaces"] = [
        row for row in spec["linux"]["namespaces"] if row["type"] not in ("user", "network")
    ]
    linux["sysctl"] = _parameters(spec, network=False)
    if wishes.devices:
        linux["resources"] = {"devices": [_allowed(host) for host, _ in wishes.devices]}
    made = {**spec, "linux": linux}
    if wishes.init:
        made["process"] = {**spec["process"], "args": [INIT, "--", *spec["process"]["args"]]}
        row = {"destination": INIT, "type": "bind", "source": _init(), "options": ["bind", "ro"]}
        made["mounts"] = [*spec["mounts"], row]
    return made


def _explained(refused: launch.LaunchError, wishes: Wishes, directory: Path) -> launch.LaunchError:
    """Return a runtime's failure in its own words, with docker's status for it."""
    said = _last_word(directory / "log") or refused.details or str(refused)
    text = said.lower()
    status = 127 if any(word in text for word in _ABSENT) else 126 if any(
        word in text for word in _BARRED) else 125  # fmt: skip
    return launch.LaunchError(status, f"{os.path.basename(wishes.runtime)}: {said}")


def _halves(made: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return the text before and after the user, whom the launcher looks up."""
    mark = os.urandom(16).hex()  # nothing that an image says can hold it
    process = {**made["process"], "user": mark}
    before, _, after = json.dump({**made, "process": process}).partition(f'"{mark}"'.encode())
    return before, after


def _parameters(spec: Mapping[str, Any], *, network: bool) -> dict[str, str]:
    wished = spec["linux"].get("sysctl", {})
    return {key: value for key, value in wished.items() if key.startswith("net.") == network}


def _allowed(host: str) -> dict[str, Any]:
    """Return the rule for a host's device, which is mounted and needs no node of its own."""
    import stat

    status = os.stat(host)
    kind = "b" if stat.S_ISBLK(status.st_mode) else "c"
    return {"allow": True, "type": kind, "major": os.major(status.st_rdev), "minor": os.minor(status.st_rdev),
            "access": "rwm"}  # fmt: skip


def _init() -> str:
    """Return a program that can be process 1 of any container."""
    import shutil

    for name in INITS:
        found = shutil.which(name)
        if found:
            return found
    raise BundleError(
        "--init with --runtime needs a static init on this host: " + ", ".join(INITS),
        hint="apt-get install catatonit; without --runtime lamina's own launcher is the init",
    )


def _last_word(path: Path) -> str:
    """Return the last error of a runtime's log."""
    try:
        with path.open("rb") as file:
            lines = file.read(LOG_LIMIT).splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        try:
            row = json.load(line, "log")
        except ValueError:
            continue
        if isinstance(row, dict) and row.get("level") == "error":
            return " ".join(str(row.get("msg", "")).split())
    return ""
