"""The driver: mount, run, unmount, and show what ended up on which layer."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import lamina_unionfs

DEBIAN = (
    "dpkg-query --show --showformat='${Package} ${Version}\\n' dpkg",
    "perl -e 'print \"perl $^V runs from the merged view\\n\"'",
    "useradd --create-home demo && getent passwd demo",
    "rm /etc/motd && ls /etc/motd",
    "mv /usr/share/doc /usr/share/documents && ls /usr/share/documents | head -3",
    "chmod -R o-r /usr/share/documents/dpkg",
    "echo 'deb [trusted=yes] file:/nowhere ./' > /etc/apt/sources.list.d/demo.list",
)
BUSYBOX = (
    "cat /etc/passwd",
    "adduser -D -H demo; cat /etc/passwd",
    "rm /etc/group && ls /etc/group",
    "mv /usr/share/doc /usr/share/documents && ls /usr/share/documents",
    "chmod -R o-r /usr/share/documents/busybox",
)


def show(tree: Path) -> None:
    """Change a Debian tree through a union, and list what the upper got."""
    with tempfile.TemporaryDirectory(prefix="lamina-demo-") as top:
        upper, work, merged = (Path(top) / name for name in ("upper", "work", "merged"))
        for directory in (upper, work, merged):
            directory.mkdir()
        started = time.monotonic()
        with lamina_unionfs.mount(lower=[tree], upper=upper, work=work, at=merged) as mount:
            print(f"mounted at {mount.path} in {(time.monotonic() - started) * 1000:.0f} ms\n")
            for script in DEBIAN if (tree / "usr/bin/dpkg").exists() else BUSYBOX:
                run_inside(merged, script)
            probe = merged / "usr/share/documents"
            print("\nWhere /usr/share/documents lies (getxattr user.lamina.why):")
            print("  " + os.getxattr(probe, "user.lamina.why").decode().strip().replace("\n", "\n  "))
        show_upper(upper)
        print(f"\nlower is unchanged: /etc/motd or /etc/group still there: {untouched(tree)}")


def run_inside(root: Path, script: str) -> None:
    """Run one shell line by chroot and show what it says."""
    print(f"# {script}", flush=True)
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    result = subprocess.run(
        ["chroot", str(root), "/bin/sh", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    for line in result.stdout.splitlines():
        print(f"  {line}")


def show_upper(upper: Path) -> None:
    """List what the upper holds, and what each thing means to a union."""
    print("\nupper afterwards:")
    total = 0
    for directory, folders, files in os.walk(upper):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = Path(directory, name)
            status = path.lstat()
            size = data_bytes(path) if stat.S_ISREG(status.st_mode) else 0
            total += size
            print(f"  {stat.filemode(status.st_mode)} {size:8} {path.relative_to(upper)}{meaning(path)}")
    print(f"  {total:19} bytes of data in all")


def data_bytes(path: Path) -> int:
    """Return how many bytes of a file are data, not holes."""
    total, position = 0, 0
    with path.open("rb") as file:
        while True:
            try:
                start = os.lseek(file.fileno(), position, os.SEEK_DATA)
            except OSError:  # ENXIO: only a hole is left
                return total
            position = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            total += position - start


def meaning(path: Path) -> str:
    """Say what the union's marks on an object mean."""
    status = path.lstat()
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        return "  (whiteout: hides the lower's)"
    words = []
    for name in os.listxattr(path, follow_symlinks=False):
        match name.rpartition("overlay."):
            case [_, _, "redirect"]:
                value = os.getxattr(path, name, follow_symlinks=False).decode(errors="replace")
                words.append(f"redirect: the lower's {value}")
            case [_, _, "metacopy"]:
                words.append("metacopy: data still on the lower")
            case [_, _, "opaque"]:
                words.append("opaque")
    return f"  ({'; '.join(words)})" if words else ""


def untouched(tree: Path) -> bool:
    """Whether what the demo removed is still on the lower."""
    return (tree / "etc/motd").exists() or (tree / "etc/group").exists()
