"""Root file systems for containers: a tiny one made at once, a Debian one kept between runs."""

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from lamina_benchmarks import cache

CACHE = Path(os.environ.get(cache.VARIABLE) or cache.OF_ROOT)
SUITE = "bookworm"
DEBIAN_SECONDS = 300


def busybox(target: Path) -> Path:
    """Write a tar of a few directories and a static busybox under all its names."""
    program = shutil.which("busybox")
    if program is None:
        raise RuntimeError("busybox is not installed")
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True, timeout=10)
    with tarfile.open(target, "w") as tar:
        for name in (
            "bin",
            "etc",
            "tmp",
            "proc",
            "sys",
            "dev",
            "run",
            "var",
            "var/tmp",
            "opt",
            "opt/old",
            "root",
        ):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            entry.mode = 0o1777 if name.endswith("tmp") else 0o755
            tar.addfile(entry)
        tar.add(os.path.realpath(program), "bin/busybox")
        for name in set(applets.stdout.split()) - {"busybox"}:
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type = tarfile.SYMTYPE
            entry.linkname = "busybox"
            tar.addfile(entry)
        for name, text in (
            ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
            ("etc/group", "root:x:0:\n"),
            ("opt/old/a", "a\n"),
            ("opt/old/b", "b\n"),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return target


def debian() -> Path:
    """Return a directory with a small Debian that has apt; made once a machine, by root."""
    archive, tree = CACHE / f"debian-{SUITE}-apt.tar", CACHE / f"debian-{SUITE}-apt"
    with cache.locked():
        if not archive.exists():
            part = archive.with_suffix(".part.tar")
            words = ["mmdebstrap", "--quiet", "--variant=apt", SUITE, str(part)]
            subprocess.run(words, check=True, timeout=DEBIAN_SECONDS)
            part.rename(archive)
        if not tree.exists():
            part = tree.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            words = [
                "tar",
                "--numeric-owner",
                "--xattrs",
                "--xattrs-include=*",
                "-xf",
                str(archive),
                "-C",
                str(part),
            ]
            subprocess.run(words, check=True, timeout=DEBIAN_SECONDS)
            part.rename(tree)
    return tree
