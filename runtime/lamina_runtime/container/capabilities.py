"""Names of capabilities and the masks the kernel takes (capabilities(7)), and docker's default set."""

from __future__ import annotations

from lamina_runtime.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
    "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE "
    "AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ "
    "PERFMON BPF CHECKPOINT_RESTORE"
).split()
DEFAULT = frozenset(
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE "
    "SYS_CHROOT KILL AUDIT_WRITE".split()
)
_NUMBERS = {name: number for number, name in enumerate(NAMES)}


def normal(name: str) -> str:
    """Return a capability's name without CAP_; UsageError for one that the kernel does not have."""
    short = name.upper().removeprefix("CAP_")
    if short not in _NUMBERS and short != "ALL":
        raise UsageError(f"unknown capability: {name}")
    return short


def chosen(*, add: Iterable[str], drop: Iterable[str], privileged: bool = False) -> frozenset[str]:
    """Return docker's default set with `add` and without `drop`; "ALL" means all, what is named wins."""
    added, dropped = {normal(name) for name in add}, {normal(name) for name in drop}
    every = frozenset(NAMES)
    base = every if privileged or "ALL" in added else frozenset() if "ALL" in dropped else DEFAULT
    return (base - (dropped - {"ALL"})) | (added - {"ALL"})


def mask(names: Iterable[str]) -> int:
    """Return the bits of capabilities named with or without CAP_."""
    return sum(1 << _NUMBERS[normal(name)] for name in set(names))
