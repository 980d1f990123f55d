"""What this process may do here: probed, never guessed from versions."""

import posix

from lamina_unionfs import paths

FUSE_CONF = "/etc/fuse.conf"
SELINUX = "/sys/fs/selinux/enforce"


def real_root() -> bool:
    """Whether we are root outside of any user namespace, so that trusted.* xattrs can be had."""
    if posix.geteuid() != 0:
        return False
    try:
        with open("/proc/self/uid_map", encoding="utf-8") as table:
            return table.read().split() == ["0", "0", "4294967295"]
    except OSError:
        return True  # without /proc there is nothing better to go by; the core reports what fails


def may_allow_other() -> bool:
    """Whether other users can be let in: as root, or where fuse.conf says so."""
    if posix.geteuid() == 0:
        return True
    try:
        with open(FUSE_CONF, encoding="utf-8", errors="replace") as lines:
            return any(line.strip() == "user_allow_other" for line in lines)
    except OSError:
        return False


def has_selinux() -> bool:
    """Whether the kernel would understand context= and its kin."""
    return paths.exists(SELINUX)
