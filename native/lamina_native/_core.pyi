"""What cffi makes of core.cdef.h, for type checkers.  tests/architecture compares the names and arities."""

from typing import Any, TypeAlias

CData: TypeAlias = Any

class Attr:
    ino: int
    size: int
    blocks: int
    atime: int
    mtime: int
    ctime: int
    atimensec: int
    mtimensec: int
    ctimensec: int
    mode: int
    nlink: int
    uid: int
    gid: int
    rdev: int
    blksize: int

class Entry:
    nodeid: int
    generation: int
    attr: Attr

class Caller:
    uid: int
    gid: int
    pid: int
    umask: int
    flags: int

class SetAttr:
    valid: int
    mode: int
    uid: int
    gid: int
    size: int
    atime: int
    mtime: int
    atimensec: int
    mtimensec: int

class StatVfs:
    f_bsize: int
    f_frsize: int
    f_blocks: int
    f_bfree: int
    f_bavail: int
    f_files: int
    f_ffree: int
    f_favail: int
    f_namemax: int

class _Ffi:
    NULL: CData
    def new(self, cdecl: str, init: object = ...) -> CData: ...
    def cast(self, cdecl: str, value: object) -> CData: ...
    def string(self, cdata: CData) -> bytes: ...
    def from_buffer(self, buffer: object) -> CData: ...
    def sizeof(self, cdecl: str) -> int: ...

class _Lib:
    LAM_EAGAIN: int
    LAM_ROOT_ID: int
    LAM_NAME_MAX: int
    LAM_CALLER_MAY_BLOCK: int
    LAM_SET_MODE: int
    LAM_SET_UID: int
    LAM_SET_GID: int
    LAM_SET_SIZE: int
    LAM_SET_ATIME: int
    LAM_SET_MTIME: int
    LAM_SET_ATIME_NOW: int
    LAM_SET_MTIME_NOW: int
    LAM_SET_KILL_SUIDGID: int
    LAM_CFG_METACOPY: int
    LAM_CFG_INDEX: int
    LAM_CFG_USERXATTR: int
    LAM_CFG_NOACL: int
    LAM_CFG_STATIC_NLINK: int
    LAM_CFG_NOXATTR: int
    LAM_CFG_XINO: int
    LAM_CFG_SQUASH_TO_ROOT: int
    LAM_CFG_SQUASH_TO_UID: int
    LAM_CFG_SQUASH_TO_GID: int
    LAM_CFG_READONLY: int
    LAM_REDIRECT_OFF: int
    LAM_REDIRECT_NOFOLLOW: int
    LAM_REDIRECT_FOLLOW: int
    LAM_REDIRECT_ON: int
    LAM_FSYNC_AUTO: int
    LAM_FSYNC_STRICT: int
    LAM_FSYNC_VOLATILE: int
    LAM_CREATE_TOP: int
    LAM_CREATE_MOST_FREE: int
    LAM_CREATE_PATH_PRESERVING: int
    LAM_AUTO: int
    LAM_UPPER: int
    LAM_OFF: int
    LAM_ON: int
    LAM_EVENT_UNMOUNTED: int
    LAM_EVENT_SIGNAL: int
    LAM_EVENT_SLOW_WANTED: int
    LAM_EVENT_FAILED: int
    def lam_core_open(self, config: CData, why: CData, why_size: int, out: CData) -> int: ...
    def lam_core_close(self, core: CData) -> None: ...
    def lam_core_readonly(self, core: CData) -> bool: ...
    def lam_core_posix_acl(self, core: CData) -> bool: ...
    def lam_core_noxattr(self, core: CData) -> bool: ...
    def lam_core_only_images(self, core: CData) -> bool: ...
    def lam_lookup(self, core: CData, caller: Caller, parent: int, name: bytes, entry: CData) -> int: ...
    def lam_forget(self, core: CData, nodeid: int, nlookup: int) -> None: ...
    def lam_mknod(
        self,
        core: CData,
        caller: Caller,
        parent: int,
        name: bytes,
        mode: int,
        rdev: int,
        entry: CData,
    ) -> int: ...
    def lam_mkdir(
        self,
        core: CData,
        caller: Caller,
        parent: int,
        name: bytes,
        mode: int,
        entry: CData,
    ) -> int: ...
    def lam_symlink(
        self,
        core: CData,
        caller: Caller,
        parent: int,
        name: bytes,
        target: bytes,
        entry: CData,
    ) -> int: ...
    def lam_link(
        self,
        core: CData,
        caller: Caller,
        nodeid: int,
        newparent: int,
        newname: bytes,
        entry: CData,
    ) -> int: ...
    def lam_unlink(self, core: CData, caller: Caller, parent: int, name: bytes) -> int: ...
    def lam_rmdir(self, core: CData, caller: Caller, parent: int, name: bytes) -> int: ...
    def lam_rename(
        self,
        core: CData,
        caller: Caller,
        oldparent: int,
        oldname: bytes,
        newparent: int,
        newname: bytes,
        flags: int,
    ) -> int: ...
    def lam_readlink(self, core: CData, nodeid: int, buf: CData, size: int) -> int: ...
    def lam_getattr(self, core: CData, nodeid: int, fh: int, attr: CData) -> int: ...
    def lam_statx(self, core: CData, nodeid: int, fh: int, out: CData) -> int: ...
    def lam_setattr(
        self,
        core: CData,
        caller: Caller,
        nodeid: int,
        fh: int,
        set: SetAttr,
        attr: CData,
    ) -> int: ...
    def lam_statfs(self, core: CData, nodeid: int, out: CData) -> int: ...
    def lam_getxattr(self, core: CData, nodeid: int, name: bytes, value: CData, size: int) -> int: ...
    def lam_listxattr(self, core: CData, caller: Caller, nodeid: int, list: CData, size: int) -> int: ...
    def lam_setxattr(
        self,
        core: CData,
        caller: Caller,
        nodeid: int,
        name: bytes,
        value: CData,
        size: int,
        flags: int,
        kill_sgid: bool,
    ) -> int: ...
    def lam_removexattr(self, core: CData, caller: Caller, nodeid: int, name: bytes) -> int: ...
    def lam_open(self, core: CData, caller: Caller, nodeid: int, flags: int, fh: CData) -> int: ...
    def lam_create(
        self,
        core: CData,
        caller: Caller,
        parent: int,
        name: bytes,
        mode: int,
        flags: int,
        entry: CData,
        fh: CData,
    ) -> int: ...
    def lam_tmpfile(
        self,
        core: CData,
        caller: Caller,
        parent: int,
        mode: int,
        flags: int,
        entry: CData,
        fh: CData,
    ) -> int: ...
    def lam_release(self, core: CData, fh: int) -> None: ...
    def lam_read(
        self,
        core: CData,
        caller: Caller,
        nodeid: int,
        fh: int,
        buf: CData,
        size: int,
        offset: int,
    ) -> int: ...
    def lam_write(
        self,
        core: CData,
        caller: Caller,
        nodeid: int,
        fh: int,
        buf: CData,
        size: int,
        offset: int,
        kill_suidgid: bool,
    ) -> int: ...
    def lam_drop_capability(self, core: CData, nodeid: int) -> int: ...
    def lam_fsync(self, core: CData, nodeid: int, fh: int, datasync: bool) -> int: ...
    def lam_fallocate(
        self,
        core: CData,
        caller: Caller,
        nodeid: int,
        fh: int,
        mode: int,
        offset: int,
        length: int,
    ) -> int: ...
    def lam_lseek(self, core: CData, nodeid: int, fh: int, offset: int, whence: int) -> int: ...
    def lam_copy_file_range(
        self,
        core: CData,
        caller: Caller,
        node_in: int,
        fh_in: int,
        off_in: int,
        node_out: int,
        fh_out: int,
        off_out: int,
        length: int,
    ) -> int: ...
    def lam_syncfs(self, core: CData) -> int: ...
    def lam_ioctl(
        self,
        core: CData,
        caller: Caller,
        nodeid: int,
        fh: int,
        cmd: int,
        arg: CData,
        size: int,
    ) -> int: ...
    def lam_readdir_pack(
        self,
        core: CData,
        caller: Caller,
        nodeid: int,
        cookie: int,
        plus: bool,
        buf: CData,
        size: int,
    ) -> int: ...
    def lam_core_stats(self, core: CData, out: CData) -> None: ...
    def lam_why(self, core: CData, nodeid: int, buf: CData, size: int) -> int: ...
    def lam_server_open(self, core: CData, config: CData, out: CData) -> int: ...
    def lam_server_start(self, server: CData) -> int: ...
    def lam_server_prime(self, server: CData, mountpoint: bytes) -> int: ...
    def lam_server_uring(self, server: CData) -> int: ...
    def lam_server_wait(self, server: CData, detail: CData) -> int: ...
    def lam_server_slow_fd(self, server: CData) -> int: ...
    def lam_server_slow_failed(self, server: CData) -> None: ...
    def lam_server_stop(self, server: CData) -> None: ...
    def lam_server_free(self, server: CData) -> None: ...
    def lam_server_stats(self, server: CData, out: CData) -> None: ...
    def lam_mount_direct(
        self,
        dir: bytes,
        source: bytes,
        flags: int,
        options: bytes,
        why: CData,
        why_size: int,
    ) -> int: ...
    def lam_mount_helper(self, dir: bytes, options: bytes, why: CData, why_size: int) -> int: ...
    def lam_unmount(self, dir: bytes, lazy: int) -> int: ...

ffi: _Ffi
lib: _Lib
