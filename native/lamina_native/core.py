"""The union core as an object: open a layer stack, close it."""

from __future__ import annotations

from lamina_native._core import ffi, lib
from lamina_native.errors import check_why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from lamina_native._core import CData

WHY_SIZE = 1024

METACOPY: int = lib.LAM_CFG_METACOPY
INDEX: int = lib.LAM_CFG_INDEX
USERXATTR: int = lib.LAM_CFG_USERXATTR
NOACL: int = lib.LAM_CFG_NOACL
STATIC_NLINK: int = lib.LAM_CFG_STATIC_NLINK
NOXATTR: int = lib.LAM_CFG_NOXATTR
XINO: int = lib.LAM_CFG_XINO
SQUASH_TO_ROOT: int = lib.LAM_CFG_SQUASH_TO_ROOT
SQUASH_TO_UID: int = lib.LAM_CFG_SQUASH_TO_UID
SQUASH_TO_GID: int = lib.LAM_CFG_SQUASH_TO_GID
READONLY: int = lib.LAM_CFG_READONLY

REDIRECT = {
    "off": lib.LAM_REDIRECT_OFF,
    "nofollow": lib.LAM_REDIRECT_NOFOLLOW,
    "follow": lib.LAM_REDIRECT_FOLLOW,
    "on": lib.LAM_REDIRECT_ON,
}
FSYNC = {"auto": lib.LAM_FSYNC_AUTO, "strict": lib.LAM_FSYNC_STRICT, "volatile": lib.LAM_FSYNC_VOLATILE}
CREATE_POLICY = {
    "top": lib.LAM_CREATE_TOP,
    "most-free": lib.LAM_CREATE_MOST_FREE,
    "path-preserving": lib.LAM_CREATE_PATH_PRESERVING,
}


def no_nul(name: bytes) -> bytes:
    """Return `name` if C can take it as a string."""
    if 0 in name:
        raise ValueError("a name cannot contain NUL")
    return name


class Core:
    """An open layer stack.  Close it when no front end uses it any more."""

    __slots__ = ("handle",)

    def __init__(
        self,
        *,
        lower: Sequence[bytes],
        upper: Sequence[bytes] = (),
        work: Sequence[bytes] = (),
        flags: int = 0,
        redirect: str = "on",
        fsync: str = "auto",
        create_policy: str = "top",
        xattr_permissions: int = 0,
        squash_uid: int = 0,
        squash_gid: int = 0,
        uidmap: Sequence[tuple[int, int, int]] = (),
        gidmap: Sequence[tuple[int, int, int]] = (),
        max_fds: int = 0,
        device: Sequence[bytes] = (),
        devicedir: bytes = b"",
    ) -> None:
        """Open the layers, take and clean the workdirs; raise Refused if that cannot be.

        Paths are topmost first; a row of a map is (id on the layers, id shown, count).  Lowers that
        are images take what they need of `device` in their order, the others by tag from `devicedir`.
        """
        if len(work) != len(upper):
            raise ValueError("each upper needs a workdir")
        config = ffi.new("struct lam_config *")
        keep = [_paths(config, "lower", lower), _paths(config, "upper", upper), _paths(config, "work", work)]
        config.nlower = len(lower)
        config.nupper = len(upper)
        config.flags = flags
        config.redirect = REDIRECT[redirect]
        config.fsync = FSYNC[fsync]
        config.create_policy = CREATE_POLICY[create_policy]
        config.xattr_permissions = xattr_permissions
        config.squash_uid = squash_uid
        config.squash_gid = squash_gid
        config.max_fds = max_fds
        keep.append(_idmap(config, "uidmap", uidmap))
        keep.append(_idmap(config, "gidmap", gidmap))
        keep.append(_paths(config, "device", device))
        config.ndevice = len(device)
        if devicedir:
            keep.append([ffi.new("char[]", no_nul(devicedir))])
            config.devicedir = keep[-1][0]
        why = ffi.new("char[]", WHY_SIZE)
        out = ffi.new("struct lam_core **")
        result = lib.lam_core_open(config, why, WHY_SIZE, out)
        del keep
        check_why(result, ffi.string(why), "cannot open the layers")
        self.handle: CData = out[0]

    def close(self) -> None:
        """Give back everything; no verb may be running.  Again is fine."""
        handle, self.handle = self.handle, ffi.NULL
        lib.lam_core_close(handle)

    def __enter__(self) -> Core:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def readonly(self) -> bool:
        """Whether every change is refused with EROFS."""
        return bool(lib.lam_core_readonly(self.handle))

    @property
    def posix_acl(self) -> bool:
        """Whether POSIX ACLs are kept and shown."""
        return bool(lib.lam_core_posix_acl(self.handle))


def _paths(config: CData, field: str, paths: Sequence[bytes]) -> list[CData]:
    keep = [ffi.new("char[]", no_nul(path)) for path in paths]
    if keep:
        array = ffi.new("char *[]", keep)
        setattr(config, field, array)
        keep.append(array)
    return keep


def _idmap(config: CData, field: str, rows: Sequence[tuple[int, int, int]]) -> list[CData]:
    if not rows:
        return []
    array = ffi.new("struct lam_idmap[]", [tuple(row) for row in rows])
    setattr(config, field, array)
    setattr(config, f"n{field}", len(rows))
    return [array]
