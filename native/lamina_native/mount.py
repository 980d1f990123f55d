"""Attach /dev/fuse to a directory and detach it."""

from lamina_native._core import ffi, lib
from lamina_native.core import WHY_SIZE, no_nul
from lamina_native.errors import check, check_why


def mount_direct(directory: bytes, *, source: bytes, flags: int, options: bytes) -> int:
    """Mount by mount(2); return the descriptor of /dev/fuse, which the caller owns.

    Raises Refused; errno EPERM means that only the setuid helper may.
    """
    why = ffi.new("char[]", WHY_SIZE)
    result = lib.lam_mount_direct(no_nul(directory), no_nul(source), flags, no_nul(options), why, WHY_SIZE)
    return check_why(result, ffi.string(why), "cannot mount")


def mount_helper(directory: bytes, *, options: bytes) -> int:
    """Mount through fusermount3; return the descriptor of /dev/fuse, which the caller owns."""
    why = ffi.new("char[]", WHY_SIZE)
    result = lib.lam_mount_helper(no_nul(directory), no_nul(options), why, WHY_SIZE)
    return check_why(result, ffi.string(why), "cannot mount through fusermount3")


def unmount(directory: bytes, *, lazy: bool) -> None:
    """Unmount, through fusermount3 where umount2(2) is not permitted."""
    check(lib.lam_unmount(no_nul(directory), lazy), "unmount")
