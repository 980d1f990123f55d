"""Make EROFS images with mkfs.erofs, and mount them by the kernel and by the driver.

The kernel's EROFS is the oracle: the same image mounted either way is the same tree.  Devices
are given to the kernel as loop devices, since not every kernel takes files.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import lamina_unionfs

from tests.support.tree import Spec, build, directory, fifo, file, hardlink, sock, sparse, symlink
from tests.support.tree import device as node

SECONDS = 60
ACL = bytes.fromhex(
    "0200000001000600ffffffff020004000100000004000400ffffffff10000600ffffffff20000400ffffffff"
)
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")


@dataclass(frozen=True, slots=True)
class Image:
    """An image, and its data devices in their order."""

    path: Path
    devices: tuple[Path, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        return tuple(f"device={device}" for device in self.devices)


def everything() -> Spec:
    """A tree with one of each: kinds, sizes around blocks, names, owners, times, xattrs.

    Names have 254 bytes at most, since mkfs.erofs 1.5 refuses 255.
    """
    sizes = (0, 1, 2, 511, 512, 513, 4000, 4095, 4096, 4097, 8192, 65536, 100_001, 1 << 20)
    spec: dict[str | bytes, object] = {
        f"sizes/{size}": file(bytes((i * 7 + size) & 255 for i in range(size))) for size in sizes
    }
    spec |= {f"many/{i:05d}": f"{i}" for i in range(1500)}
    spec |= {
        "empty/": directory(mode=0o1777),
        "names/" + "n" * 254: "long",
        b"names/\xff\xfe\n ": "bytes",
        "names/-": "dash",
        "holes": sparse(1 << 20, (0, b"begin"), (300_000, b"x" * 9000), (900_000, b"end")),
        "hole": sparse(3 << 20),
        "linked": file("one object", mode=0o600),
        "names/linked too": hardlink("linked"),
        "short": symlink("target"),
        "long": symlink("t/" * 1500 + "end"),
        "dangling": symlink("/nowhere"),
        "pipe": fifo(),
        "socket": sock(),
        "null": node(0o020000, 1, 3, mode=0o666),
        "disk": node(0o060000, 259, 70_000),
        "setuid": file("s", mode=0o6755, uid=70_000, gid=80_000),
        "old": file("o", mtime_ns=1_000_000_007),
        "dressed/": directory(xattrs={"user.a": b"", "trusted.b": bytes(range(256))}),
        "acl": file("acl", mode=0o664, xattrs={"system.posix_acl_access": ACL}),
        "able": file("c", mode=0o755, xattrs={"security.capability": CAPABILITY}),
        "large": file("l", xattrs={"user.large": b"v" * 3000}),
    }
    spec |= {f"shared/{i}": file("s", xattrs={"user.same": b"shared value" * 9}) for i in range(40)}
    return spec  # type: ignore[return-value]  # keys are str or bytes


def make(top: Path, spec: Spec, *arguments: str, external: bool = False) -> Image:
    """Build a tree in a directory of its own and make an image of it."""
    source = top / "source"
    source.mkdir(parents=True)
    build(source, spec)
    return image_of(source, top / "image", *arguments, external=external)


def image_of(source: Path, at: Path, *arguments: str, external: bool = False) -> Image:
    """Make an image of a directory; with 'external' data lie on a device."""
    devices = (at.with_suffix(".device"),) if external else ()
    argv = ["mkfs.erofs", *(f"--blobdev={path}" for path in devices), *arguments, str(at), str(source)]
    done = subprocess.run(argv, capture_output=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return Image(at, devices)


@contextlib.contextmanager
def by_driver(image: Image, at: Path, *options: str) -> Iterator[Path]:
    """Mount by the driver, as the only lower."""
    at.mkdir(exist_ok=True)
    with lamina_unionfs.mount(lower=[image.path], at=at, options=[*image.options, *options]):
        yield at


@contextlib.contextmanager
def by_kernel(image: Image, at: Path) -> Iterator[Path]:
    """Mount by the kernel."""
    at.mkdir(exist_ok=True)
    with contextlib.ExitStack() as undo:
        loops = [undo.enter_context(_loop(path)) for path in image.devices]
        options = ",".join(["ro", "loop", *(f"device={loop}" for loop in loops)])
        run("mount", "-t", "erofs", "-o", options, str(image.path), str(at))
        undo.callback(run, "umount", str(at))
        yield at


@contextlib.contextmanager
def _loop(path: Path) -> Iterator[str]:
    name = run("losetup", "--read-only", "--find", "--show", str(path)).strip()
    try:
        yield name
    finally:
        run("losetup", "--detach", name)


def run(*argv: str) -> str:
    """Run a tool that must succeed; return what it says."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


def numbers(top: Path) -> dict[str, tuple[int, ...]]:
    """Return what dumps leave out: inode numbers, times and blocks of all objects."""
    found: dict[str, tuple[int, ...]] = {}
    for parent, directories, files in os.walk(top):
        for name in [*directories, *files]:
            path = os.path.join(parent, name)
            status = os.lstat(path)
            found[os.path.relpath(path, top)] = (
                status.st_ino,
                status.st_mtime_ns,
                status.st_atime_ns,
                status.st_ctime_ns,
                status.st_blocks,
                status.st_nlink,
            )
    return found


def seeks(path: Path) -> Sequence[tuple[int, int]]:
    """Return the extents of data that lseek(2) tells."""
    found = []
    with path.open("rb") as stream:
        end = os.fstat(stream.fileno()).st_size
        at = 0
        while at < end:
            try:
                begin = os.lseek(stream.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(stream.fileno(), begin, os.SEEK_HOLE)
            found.append((begin, at))
    return found
