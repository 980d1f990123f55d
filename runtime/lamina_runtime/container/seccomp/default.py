"""The filter of a container that asked for none: docker's habits (profiles/seccomp of moby), said shortly.

Theory.  Allowed is the closed list of `tables` without what is named here; whatever the kernel gets
later is refused until it is in the tables and was looked at.  Refused are calls that reach past
namespaces, that are relics nobody tests, or that widen the kernel's attack surface for the few who
need them; capabilities that are granted bring theirs back.

One thing is stricter than docker's: ioctl(TIOCSTI), which types into the terminal of whoever started
us.  Arguments are compared as the kernel takes them (`assembler`).
"""

from __future__ import annotations

from lamina_runtime.container.seccomp.tables import Architecture, every_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

_NEVER = frozenset(
    # keys are in no namespace
    "add_key keyctl request_key "
    # of the host as a whole
    "kexec_load kexec_file_load swapon swapoff nfsservctl pivot_root sysfs ustat uselib _sysctl "
    "bdflush lsm_set_self_attr pciconfig_iobase pciconfig_read pciconfig_write rtas s390_sthyi migrate_pages "
    "move_pages "
    # much attack surface, few users
    "io_uring_enter io_uring_register io_uring_setup userfaultfd vm86 vm86old s390_guarded_storage "
    "subpage_prot switch_endian sys_debug_setcontext sysmips spu_create spu_run cachectl usr26 usr32 "
    # a call by number, and relics
    "syscall multiplexer afs_syscall break create_module ftime get_kernel_syms getpmsg gtty idle lock mpx "
    "nice oldfstat oldlstat oldolduname oldstat olduname prof profil putpmsg query_module security sgetmask "
    "ssetmask stty tuxcall ulimit vserver".split()
)
_WITH_CAPABILITY = {
    "DAC_READ_SEARCH": "open_by_handle_at",
    "SYS_ADMIN": "bpf fanotify_init fsconfig fsmount fsopen fspick listmount lookup_dcookie mount "
    "mount_setattr move_mount open_tree open_tree_attr perf_event_open quotactl quotactl_fd "
    "setdomainname sethostname "
    "setns statmount syslog umount umount2 unshare",
    "SYS_BOOT": "reboot",
    "SYS_CHROOT": "chroot",
    "SYS_MODULE": "delete_module finit_module init_module",
    "SYS_PACCT": "acct",
    "SYS_PTRACE": "kcmp pidfd_getfd process_madvise",
    "SYS_RAWIO": "ioperm iopl",
    "SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "SYS_TTY_CONFIG": "vhangup",
    "SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "SYSLOG": "syslog",
    "BPF": "bpf",
    "PERFMON": "perf_event_open",
}
_CONDITIONAL = frozenset(("clone", "clone3", "ioctl", "personality", "socket"))
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEW* but that of time, which clone(2) does not take
_AF_VSOCK = 40  # reaches the hypervisor
_ENOSYS = 38  # a C library then takes clone(2), whose flags can be seen
_PERSONALITIES = (0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # PER_LINUX, PER_LINUX32, with UNAME26; ask


def rules(capabilities: Collection[str], native: Sequence[Architecture]) -> dict[str, Any]:
    """Return linux.seccomp for a container with these capabilities (names without CAP_)."""
    gated = {name for words in _WITH_CAPABILITY.values() for name in words.split()}
    opened = {name for key in capabilities for name in _WITH_CAPABILITY.get(key, "").split()}
    allowed = (every_name() - _NEVER - gated - _CONDITIONAL) | opened
    syscalls = [
        _allow("socket", _argument(0, "NE", _AF_VSOCK)),
        *(_allow("personality", _argument(0, "EQ", value)) for value in _PERSONALITIES),
        _allow("ioctl", _argument(1, "NE", _tiocsti(native))),
    ]
    if "SYS_ADMIN" in capabilities:
        allowed |= {"clone", "clone3"}
    else:
        flags_at = 1 if native[0].name == "s390x" else 0
        syscalls += [
            _allow("clone", _argument(flags_at, "MASKED_EQ", _NEW_NAMESPACES)),
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
        ]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": [row.spec for row in native],
        "syscalls": [{"names": sorted(allowed), "action": "SCMP_ACT_ALLOW"}, *syscalls],
    }


def _allow(name: str, argument: dict[str, Any]) -> dict[str, Any]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [argument]}


def _argument(index: int, op: str, value: int) -> dict[str, Any]:
    return {"index": index, "value": value, "op": f"SCMP_CMP_{op}"}


def _tiocsti(native: Sequence[Architecture]) -> int:
    return 0x5472 if native[0].name.startswith("mips") else 0x5412
