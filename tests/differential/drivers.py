"""The union drivers that can be compared, behind one way to mount and unmount them.

FUSE servers run in the foreground as our children, so that their end can be waited for: the
upper may be used again only when its server is gone.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.support import capabilities, mounts

READY_SECONDS = 10.0
END_SECONDS = 20.0
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Layout:
    """Where one mount finds its layers; `lowers` topmost first."""

    lowers: tuple[Path, ...]
    upper: Path
    work: Path
    merged: Path


@dataclass(frozen=True)
class Flavour:
    """Which overlay format is in use: trusted.* with all features, or the unprivileged user.*."""

    name: str
    prefix: str
    options: str
    kernel_options: str  # the kernel refuses to be told what userxattr implies


_ALL = "redirect_dir=on,metacopy=on,index=on,xino=on"
TRUSTED = Flavour("trusted", "trusted.overlay.", _ALL, _ALL)
USER = Flavour(
    "user",
    "user.overlay.",
    "userxattr,redirect_dir=off,metacopy=off,index=on,xino=on",
    "userxattr,index=on,xino=on",
)
FLAVOURS = {flavour.name: flavour for flavour in (TRUSTED, USER)}


class Mounted(Protocol):
    """A live mount."""

    def unmount(self) -> None:
        """Unmount, and wait until nobody uses the upper any more."""


class Driver(Protocol):
    """Something that can mount a layout."""

    @property
    def name(self) -> str:
        """Return its key in `DRIVERS`."""

    def mount(self, layout: Layout, flavour: Flavour) -> Mounted:
        """Mount; raises RuntimeError with what the driver said if it refuses."""


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def option_string(layout: Layout, *options: str) -> str:
    """Give the `-o` argument in the form that all drivers understand."""
    lowers = ":".join(_escaped(path) for path in layout.lowers)
    parts = [f"lowerdir={lowers}", f"upperdir={layout.upper}", f"workdir={layout.work}"]
    return ",".join(part for part in (*parts, *options) if part)


@dataclass
class _KernelMount:
    merged: Path

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.merged)], check=True, timeout=END_SECONDS)


@dataclass(frozen=True)
class KernelOverlay:
    """The oracle: overlayfs of the running kernel (needs real root)."""

    name: str = "kernel"
    options: str = ""  # instead of the flavour's

    def mount(self, layout: Layout, flavour: Flavour) -> Mounted:
        """Mount with mount(8)."""
        options = option_string(layout, self.options or flavour.kernel_options)
        argv = ["mount", "-t", "overlay", "overlay", "-o", options, str(layout.merged)]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=READY_SECONDS)
        if done.returncode != 0:
            raise RuntimeError(f"kernel overlayfs refuses: {done.stderr.strip()}")
        return _KernelMount(layout.merged)


@dataclass
class FuseMount:
    """A FUSE server in the foreground and its mount."""

    merged: Path
    server: subprocess.Popen[bytes]
    log: Path

    def unmount(self) -> None:
        """Unmount; the server must end by itself, with status 0, and say nothing."""
        subprocess.run(["umount", str(self.merged)], check=True, timeout=END_SECONDS)
        status = self.server.wait(END_SECONDS)
        if status != 0:
            raise RuntimeError(f"server ended with status {status}: {self.words()}")

    def words(self) -> str:
        """What the server wrote so far."""
        return self.log.read_text(errors="replace")[-2000:].strip()


@dataclass(frozen=True)
class FuseDriver:
    """A command with fuse-overlayfs's command line."""

    name: str
    command: tuple[str, ...]
    extra: str = ""
    options: str = ""  # instead of the flavour's
    surroundings: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    complaint: str = ""  # what the server says when it falls back to something else

    def mount(self, layout: Layout, flavour: Flavour) -> Mounted:
        """Start the server and wait until the mount is there."""
        with self.surroundings():
            mount = self._start(layout, flavour)
        if self.complaint and self.complaint in mount.words():
            mount.unmount()
            raise RuntimeError(f"{self.name}: {mount.words()}")
        return mount

    def _start(self, layout: Layout, flavour: Flavour) -> "FuseMount":
        options = option_string(layout, self.options or flavour.options, self.extra)
        log = layout.merged.with_name(f"{layout.merged.name}.log")
        with log.open("wb") as output:
            server = subprocess.Popen(
                [*self.command, "-f", "-o", options, str(layout.merged)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
            )
        mount = FuseMount(layout.merged, server, log)
        if not mounts.wait_until_mounted(layout.merged, os.getpid(), seconds=READY_SECONDS, alive=server):
            server.kill()
            server.wait()
            raise RuntimeError(f"{self.name} does not mount {options}: {mount.words()}")
        return mount


def _lamina() -> tuple[str, ...]:
    return (str(capabilities.driver() or capabilities.DRIVER),)


DRIVERS: dict[str, Driver] = {
    "kernel": KernelOverlay(),
    # The seeded difference: without an index hard links break at copy-up.
    "kernel-seeded": KernelOverlay("kernel-seeded", "redirect_dir=on,metacopy=on,index=off,xino=on"),
    "lamina": FuseDriver("lamina", _lamina()),
    "lamina-old-calls": FuseDriver(
        "lamina-old-calls", (sys.executable, "-m", "tests.differential.oldcalls", *_lamina())
    ),
    "lamina-io-uring": FuseDriver(
        "lamina-io-uring",
        _lamina(),
        "io_uring",
        surroundings=capabilities.fuse_uring_enabled,
        complaint="io_uring:",
    ),
    "lamina-passthrough": FuseDriver("lamina-passthrough", _lamina(), "passthrough=upper"),
    "lamina-passthrough-on": FuseDriver("lamina-passthrough-on", _lamina(), "passthrough=on"),
    "lamina-pyfuse3": FuseDriver("lamina-pyfuse3", _lamina(), "engine=pyfuse3"),
    "fuse-overlayfs": FuseDriver("fuse-overlayfs", ("fuse-overlayfs",), options="redirect_dir=off"),
}
