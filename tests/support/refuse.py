"""Run a command under a filter that refuses what a container of docker's refuses: mounts and namespaces.

    python -I -S refuse.py [--powerless] COMMAND [ARGUMENT...]

`--powerless` lets user namespaces be made, in which nothing is allowed: what AppArmor does on Ubuntu.

A program of its own, since a filter stays for good.  It is written out here, and not taken from the
product's own, so that a fault there cannot hide itself.
"""

import ctypes
import os
import struct
import sys

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
EPERM, ENOSYS = 1, 38
NEW_NAMESPACES, NEW_USER = 0x7E020000, 0x10000000
AT_NUMBER, AT_ARCHITECTURE, AT_FIRST_ARGUMENT = 0, 4, 16
# machine: (AUDIT_ARCH_*, clone, mount umount2 pivot_root unshare setns)
MACHINES = {
    "x86_64": (0xC000003E, 56, (165, 166, 155, 272, 308)),
    "aarch64": (0xC00000B7, 220, (40, 39, 41, 97, 268)),
}
NEWER = (
    428,
    429,
    430,
    431,
    432,
    433,
    442,
)  # open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr
CLONE3 = 435


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def program(machine: str, *, powerless: bool) -> bytes:
    """Return struct sock_filter[]."""
    audit, clone, refused = MACHINES[machine]
    rows = [
        (LOAD, 0, 0, AT_ARCHITECTURE),
        (EQUAL, 1, 0, audit),
        (RETURN, 0, 0, ERRNO | ENOSYS),
        (LOAD, 0, 0, AT_NUMBER),
    ]
    if powerless:  # unshare(2) of a user namespace and nothing else
        rows += [(EQUAL, 0, 3, refused[3]), (LOAD, 0, 0, AT_FIRST_ARGUMENT)]
        rows += [(EQUAL, 0, 1, NEW_USER), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, AT_NUMBER)]
    for number in (*refused, *NEWER):
        rows += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO | EPERM)]
    rows += [(EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, ERRNO | ENOSYS)]
    rows += [(EQUAL, 0, 3, clone), (LOAD, 0, 0, AT_FIRST_ARGUMENT)]
    rows += [(ANY_BIT, 0, 1, NEW_NAMESPACES), (RETURN, 0, 0, ERRNO | EPERM), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *row) for row in rows)


def main(command: list[str]) -> None:
    """Install it, become the command."""
    powerless = command[0] == "--powerless"
    command = command[powerless:]
    code = program(os.uname().machine, powerless=powerless)
    libc = ctypes.CDLL(None, use_errno=True)
    wanted = _Program(len(code) // 8, code)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(wanted), 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
