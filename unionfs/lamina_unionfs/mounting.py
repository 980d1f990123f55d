"""Attach a session to its mount point, directly where permitted, else through fusermount3."""

from __future__ import annotations

import errno

from lamina_native import mount as native
from lamina_native.errors import Refused

from lamina_unionfs import capabilities, paths
from lamina_unionfs.errors import DriverError
from lamina_unionfs.options import FLAGS, MS_RDONLY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_unionfs.options import Options

NAME = "lamina-unionfs"


def attach(options: Options, mountpoint: bytes) -> int:
    """Mount; return the descriptor of /dev/fuse, which the caller owns."""
    flags = options.flags | (MS_RDONLY if options.readonly else 0)
    source = options.source or NAME
    words = kernel_options(options)
    try:
        return native.mount_direct(
            mountpoint, source=paths.encode(source), flags=flags, options=paths.encode(",".join(words))
        )
    except Refused as error:
        if error.errno != errno.EPERM:
            raise DriverError(error.reason) from error
    named = [name for name, (bits, wanted) in FLAGS.items() if wanted and flags & bits]
    named += [f"fsname={_escape(source)}", f"subtype={NAME}", *words]
    try:
        return native.mount_helper(mountpoint, options=paths.encode(",".join(named)))
    except Refused as error:
        raise DriverError(error.reason) from error


def kernel_options(options: Options) -> list[str]:
    """Say what the kernel itself must know of the options."""
    words = ["default_permissions"]
    allow_other = options.allow_other
    if allow_other is None:
        allow_other = capabilities.may_allow_other()
    if allow_other:
        words.append("allow_other")
    if options.security_contexts and capabilities.has_selinux():
        words += options.security_contexts
    return words


def detach(mountpoint: bytes) -> None:
    """Unmount; where it is busy, take it out of the tree and let its last user end it."""
    try:
        native.unmount(mountpoint, lazy=False)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        native.unmount(mountpoint, lazy=True)


def _escape(source: str) -> str:
    return source.replace("\\", "\\\\").replace(",", "\\,")
