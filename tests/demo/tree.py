"""Make the Debian tree of the demo once, and keep it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

CACHE = Path("/var/tmp/lamina-demo")
SOURCES = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d"))
SECONDS = 600


def debian_tree() -> tuple[Path, str]:
    """Return the tree and what it is; make it if it is not there."""
    tree = CACHE / "debian"
    if (tree / "usr/bin/dpkg").exists():
        return tree, "Debian (kept from an earlier demo)"
    CACHE.mkdir(parents=True, exist_ok=True)
    making = CACHE / "making"
    shutil.rmtree(making, ignore_errors=True)
    if _mmdebstrap(making):
        making.rename(tree)
        return tree, "Debian, made by mmdebstrap"
    shutil.rmtree(making, ignore_errors=True)
    return _busybox(), "busybox, because mmdebstrap did not succeed"


def _mmdebstrap(target: Path) -> bool:
    suite = ""
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            suite = line.partition("=")[2].strip('"')
    files = [SOURCES[0]] if SOURCES[0].exists() else []
    files += sorted(path for path in SOURCES[1].glob("debian*") if path.suffix in {".list", ".sources"})
    command = ["mmdebstrap", "--quiet", "--variant=minbase", suite, str(target), *map(str, files)]
    command[1:1] = [f"--aptopt={option}" for option in _proxies()]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


def _proxies() -> list[str]:
    """Return the host's apt proxies, which mmdebstrap does not look for."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, timeout=30, check=True)
    return [line.rstrip(";") for line in dump.stdout.splitlines() if "::Proxy " in line]


def _busybox() -> Path:
    tree = CACHE / "busybox"
    for name in ("bin", "etc", "tmp", "usr/share/doc/busybox"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    shutil.copy("/bin/busybox", tree / "bin/busybox")
    for applet in ("sh", "ls", "cat", "chmod", "mv", "rm", "mkdir", "adduser", "chown"):
        link = tree / "bin" / applet
        if not link.is_symlink():
            link.symlink_to("busybox")
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n", encoding="ascii")
    (tree / "etc/group").write_text("root:x:0:\n", encoding="ascii")
    (tree / "usr/share/doc/busybox/copyright").write_text("GPL-2\n", encoding="ascii")
    return tree
