"""The small worlds from which random trees and operations draw: few of each, so that they meet."""

import random

from tests.differential import acl

NAMES = ("a", "b", "c", "d", "e", "f", "p", "q", "r", "s")
ODD_NAMES = ("n" * 255, "sp ace\n\udcff", "ünïcode", "x" * 180)
USERS = ((1000, 1000, (1000,)), (1000, 1000, (1000, 2000)), (2000, 2000, ()), (3000, 1000, ()))
OWNERS = (0, 0, 1000, 2000)
MODES = (0o644, 0o600, 0o666, 0o000, 0o755, 0o4755, 0o2755, 0o2644, 0o640, 0o6711)
DIRECTORY_MODES = (0o755, 0o755, 0o777, 0o1777, 0o2755, 0o2775, 0o700, 0o711, 0o3770)
SIZES = (0, 1, 100, 4095, 4096, 4097, 10_000, 70_000, 300_000)
LARGE_SIZE = 2_500_000  # beyond every "small file" limit of a driver
LARGE_CHANCE = 0.01
ODD_CHANCE = 0.04
XATTRS = ("user.a", "user.b", "user.c", "trusted.t", "security.tag")
MAX_DEPTH = 4
# struct vfs_cap_data v2: cap_net_raw permitted and effective
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


def name(rng: random.Random) -> str:
    """Draw one path component."""
    return rng.choice(ODD_NAMES if rng.random() < ODD_CHANCE else NAMES)


def size(rng: random.Random) -> int:
    """Draw a length in bytes."""
    return LARGE_SIZE if rng.random() < LARGE_CHANCE else rng.choice(SIZES)


def time(rng: random.Random) -> int:
    """Draw nanoseconds between 2000 and 2019."""
    return rng.randrange(946_684_800, 1_546_300_800) * 1_000_000_000 + rng.randrange(10**9)


def xattr(rng: random.Random) -> tuple[str, bytes]:
    """Draw an extended attribute that every object but symlinks may have."""
    if rng.random() < 0.1:
        return ("security.capability", CAPABILITY)
    length = rng.choice((0, 1, 7, 40, 700))
    return (rng.choice(XATTRS), bytes(rng.randrange(256) for _ in range(length)))


def acl_value(rng: random.Random) -> bytes:
    """Draw an ACL with zero to three named entries."""
    tags = ((acl.USER, 1000), (acl.USER, 2000), (acl.GROUP, 2000))
    named = [(tag, id_, rng.randrange(8)) for tag, id_ in tags if rng.random() < 0.5]
    return acl.encode(rng.choice((0o755, 0o700, 0o770, 0o775)), named)


def symlink_target(rng: random.Random, depth: int) -> str:
    """Draw a target that stays inside the tree for a link at `depth` (1: in the root)."""
    targets = [name(rng), f"{name(rng)}/{name(rng)}", "/proc/nonexistent-target", "t" * 300]
    if depth > 1:
        targets.append(f"../{name(rng)}")
    return rng.choice(targets)
