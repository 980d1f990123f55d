"""pyfuse3's handlers: one line each; what they do is in ops_*.py.

pyfuse3 calls exactly these methods with exactly these arguments.  Every failure passes
`boundary`, so that no exception ends the mount.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyfuse3
from lamina_native.verbs import Fh

from lamina_unionfs import ops_attr, ops_dir, ops_file, ops_name
from lamina_unionfs.boundary import boundary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyfuse3 import (
        EntryAttributes,
        FileHandleT,
        FileInfo,
        FileNameT,
        FlagT,
        InodeT,
        ModeT,
        ReaddirToken,
        RequestContext,
        SetattrFields,
        StatvfsData,
        XAttrNameT,
    )

    from lamina_unionfs.filesystem import Filesystem


class Operations(pyfuse3.Operations):
    """The union as pyfuse3 sees it."""

    supports_dot_lookup = False

    def __init__(self, fs: Filesystem) -> None:
        super().__init__()
        self.fs = fs
        self.enable_acl = fs.core.posix_acl
        self.enable_writeback_cache = fs.options.writeback == "on"

    @boundary
    async def lookup(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> EntryAttributes:
        return await ops_name.lookup(self.fs, self.fs.inodes.node(parent_inode), name, ctx)

    @boundary
    async def forget(self, inode_list: Sequence[tuple[InodeT, int]]) -> None:
        await ops_name.forget(self.fs, inode_list)

    @boundary
    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        return await ops_attr.getattr_(self.fs, self.fs.inodes.node(inode))

    @boundary
    async def setattr(
        self,
        inode: InodeT,
        attr: EntryAttributes,
        fields: SetattrFields,
        fh: FileHandleT | None,
        ctx: RequestContext,
    ) -> EntryAttributes:
        return await ops_attr.setattr_(
            self.fs, self.fs.inodes.node(inode), attr, fields, None if fh is None else Fh(fh), ctx
        )

    @boundary
    async def readlink(self, inode: InodeT, ctx: RequestContext) -> FileNameT:
        return pyfuse3.FileNameT(await ops_name.readlink(self.fs, self.fs.inodes.node(inode)))

    @boundary
    async def mknod(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, rdev: int, ctx: RequestContext
    ) -> EntryAttributes:
        return await ops_name.mknod(self.fs, self.fs.inodes.node(parent_inode), name, mode, rdev, ctx)

    @boundary
    async def mkdir(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, ctx: RequestContext
    ) -> EntryAttributes:
        return await ops_name.mkdir(self.fs, self.fs.inodes.node(parent_inode), name, mode, ctx)

    @boundary
    async def unlink(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        await ops_name.unlink(self.fs, self.fs.inodes.node(parent_inode), name, ctx)

    @boundary
    async def rmdir(self, parent_inode: InodeT, name: FileNameT, ctx: RequestContext) -> None:
        await ops_name.rmdir(self.fs, self.fs.inodes.node(parent_inode), name, ctx)

    @boundary
    async def symlink(
        self, parent_inode: InodeT, name: FileNameT, target: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        return await ops_name.symlink(self.fs, self.fs.inodes.node(parent_inode), name, target, ctx)

    @boundary
    async def rename(
        self,
        parent_inode_old: InodeT,
        name_old: FileNameT,
        parent_inode_new: InodeT,
        name_new: FileNameT,
        flags: FlagT,
        ctx: RequestContext,
    ) -> None:
        source, target = (
            (self.fs.inodes.node(parent_inode_old), name_old),
            (self.fs.inodes.node(parent_inode_new), name_new),
        )
        await ops_name.rename(self.fs, source, target, flags, ctx)

    @boundary
    async def link(
        self, inode: InodeT, new_parent_inode: InodeT, new_name: FileNameT, ctx: RequestContext
    ) -> EntryAttributes:
        return await ops_name.link(
            self.fs, self.fs.inodes.node(inode), self.fs.inodes.node(new_parent_inode), new_name, ctx
        )

    @boundary
    async def open(self, inode: InodeT, flags: FlagT, ctx: RequestContext) -> FileInfo:
        return await ops_file.open_(self.fs, self.fs.inodes.node(inode), flags, ctx)

    @boundary
    async def create(
        self, parent_inode: InodeT, name: FileNameT, mode: ModeT, flags: FlagT, ctx: RequestContext
    ) -> tuple[FileInfo, EntryAttributes]:
        return await ops_file.create(self.fs, self.fs.inodes.node(parent_inode), name, mode, flags, ctx)

    @boundary
    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        # pyfuse3 takes any buffer, its types say bytes
        return await ops_file.read(self.fs, Fh(fh), off, size)  # type: ignore[return-value]

    @boundary
    async def write(self, fh: FileHandleT, off: int, buf: bytes) -> int:
        return await ops_file.write(self.fs, Fh(fh), off, buf)

    @boundary
    async def flush(self, fh: FileHandleT) -> None:
        await ops_file.flush()

    @boundary
    async def release(self, fh: FileHandleT) -> None:
        await ops_file.release(self.fs, Fh(fh))

    @boundary
    async def fsync(self, fh: FileHandleT, datasync: bool) -> None:
        await ops_file.fsync(self.fs, Fh(fh), datasync=datasync)

    @boundary
    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        return pyfuse3.FileHandleT(inode)

    @boundary
    async def readdir(self, fh: FileHandleT, start_id: int, token: ReaddirToken) -> None:
        await ops_dir.readdir(self.fs, self.fs.inodes.node(fh), start_id, token)

    @boundary
    async def releasedir(self, fh: FileHandleT) -> None:
        return None

    @boundary
    async def fsyncdir(self, fh: FileHandleT, datasync: bool) -> None:
        await ops_dir.fsyncdir(self.fs, self.fs.inodes.node(fh), datasync=datasync)

    @boundary
    async def statfs(self, ctx: RequestContext) -> StatvfsData:
        return await ops_attr.statfs(self.fs)

    @boundary
    async def setxattr(self, inode: InodeT, name: XAttrNameT, value: bytes, ctx: RequestContext) -> None:
        await ops_attr.setxattr(self.fs, self.fs.inodes.node(inode), name, value, ctx)

    @boundary
    async def getxattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> bytes:
        return await ops_attr.getxattr(self.fs, self.fs.inodes.node(inode), name)

    @boundary
    async def listxattr(self, inode: InodeT, ctx: RequestContext) -> Sequence[XAttrNameT]:
        return [
            pyfuse3.XAttrNameT(name)
            for name in await ops_attr.listxattr(self.fs, self.fs.inodes.node(inode), ctx)
        ]

    @boundary
    async def removexattr(self, inode: InodeT, name: XAttrNameT, ctx: RequestContext) -> None:
        await ops_attr.removexattr(self.fs, self.fs.inodes.node(inode), name, ctx)

    @boundary
    async def access(self, inode: InodeT, mode: ModeT, ctx: RequestContext) -> bool:
        return await ops_attr.access(self.fs, self.fs.inodes.node(inode), mode, ctx)
