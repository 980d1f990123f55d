"""POSIX ACLs as the xattr values that system.posix_acl_* take (linux/posix_acl_xattr.h)."""

import struct

VERSION = 2
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NO_ID = 0xFFFFFFFF

ACCESS = "system.posix_acl_access"
DEFAULT = "system.posix_acl_default"


def encode(mode: int, named: list[tuple[int, int, int]]) -> bytes:
    """Encode an ACL with the permissions of `mode` and (tag, id, permissions) of `named` ones.

    With named entries the mask is their union with the group's, as setfacl(1) computes it.
    """
    group = mode >> 3 & 7
    mask = group
    for _, _, permissions in named:
        mask |= permissions
    entries = [(USER_OBJ, mode >> 6 & 7, NO_ID)]
    entries += [(USER, p, i) for tag, i, p in sorted(named) if tag == USER]
    entries += [(GROUP_OBJ, group, NO_ID)]
    entries += [(GROUP, p, i) for tag, i, p in sorted(named) if tag == GROUP]
    if named:
        entries += [(MASK, mask, NO_ID)]
    entries += [(OTHER, mode & 7, NO_ID)]
    return struct.pack("<I", VERSION) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
