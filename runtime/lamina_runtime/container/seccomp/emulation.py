"""Root with one id only: calls that would need others succeed and do nothing.

Theory.  Without subordinate ids a user namespace has the id 0 and no other.  chown(2) to anybody
else is refused by the kernel before any file system sees it, and setgroups(2) for good; package
managers take both for fatal.  A filter that returns 0 for them is enough for apt, dnf and apk, since
the driver shows every file as root's in any case: what they asked for is not recorded.  mknod(2) of
a device does nothing either; fifos, sockets and plain files are made.

The rules are linux.seccomp's own, SCMP_ACT_ERRNO with errnoRet 0, so that the bundle says it all.
A filter that succeeds instead of refusing loosens nothing: what is not carried out cannot harm.

With `recording` chown(2) and its kin, mknod(2) of devices and the calls that look at files are handed
to user space instead (SCMP_ACT_NOTIFY): the launcher's recorder keeps what was wished with the file
and shows it (native/launch/record.h).

apt drops to the user _apt and checks that it worked; `APT` tells it not to.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from lamina_runtime.container.seccomp.tables import Architecture

OWNING = "chown chown32 fchown fchown32 fchownat lchown lchown32".split()
LOOKING = "stat lstat fstat newfstatat statx".split()
NOTIFY = "SCMP_ACT_NOTIFY"
FAKED = (
    "capset setfsgid setfsgid32 setfsuid setfsuid32 "
    "setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid setresgid32 setresuid setresuid32 "
    "setreuid setreuid32 setuid setuid32"
).split()
_NODES = {"mknod": 1, "mknodat": 2}  # which argument has the type
_TYPE, _DEVICES = 0o170000, (0o020000, 0o060000)
_OTHERS = (0, 0o010000, 0o100000, 0o140000)

APT = 'APT::Sandbox::User "root";\n'
APT_PLACE = "/dev/.lamina-apt.conf"  # in the tmpfs of devices: nothing of it is in the upper
APT_VARIABLE = "APT_CONFIG"


def alone(
    seccomp: Mapping[str, Any] | None, native: Sequence[Architecture], *, recording: bool = False
) -> dict[str, Any]:
    """Return a filter (None: none) with the emulation of root added."""
    base = seccomp or {"defaultAction": "SCMP_ACT_ALLOW"}
    nothing: dict[str, Any] = {"action": "SCMP_ACT_ERRNO", "errnoRet": 0}
    wished = {"action": NOTIFY} if recording else nothing
    ours = {*FAKED, *OWNING, *_NODES, *(LOOKING if recording else ())}
    kept = []
    for row in base.get("syscalls", ()):
        names = [name for name in row["names"] if name not in ours]
        if names:
            kept.append({**row, "names": names})
    fakes: list[dict[str, Any]] = [{"names": list(FAKED), **nothing}, {"names": list(OWNING), **wished}]
    if recording:
        fakes.append({"names": list(LOOKING), **wished})
    for name, index in _NODES.items():
        for kind in (*_DEVICES, *_OTHERS):
            outcome = wished if kind in _DEVICES else _ALLOW
            fakes.append({"names": [name], **outcome, "args": [_type(index, kind)]})
    return {**base, "architectures": [row.spec for row in native], "syscalls": kept + fakes}


_ALLOW = {"action": "SCMP_ACT_ALLOW"}


def _type(index: int, kind: int) -> dict[str, Any]:
    return {"index": index, "value": _TYPE, "valueTwo": kind, "op": "SCMP_CMP_MASKED_EQ"}
