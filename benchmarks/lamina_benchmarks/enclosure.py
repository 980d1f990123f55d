"""Where a run takes place: a mount namespace of its own, and for a plain user a user namespace.

Nothing is left mounted, whatever happens, and the mounts of others are not held open: they are
given up at the start, as a namespace that is made later would keep their servers alive.  What the
run itself lives on is kept: in a container that may be an overlay, `/` first of all.

That we are inside is not taken from the environment alone, which anyone's children inherit: the
variable names the process that went in, which stays the same through unshare, and the namespace
that it left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from lamina_benchmarks import bed, cache, installed, mounted

INSIDE = "LAMINA_BENCH_INSIDE"
SECONDS = 20
MOUNTS = ("--mount", "--propagation=private")
# With all ids that the user has been given, or else as root alone.
ROOT: tuple[tuple[str, ...], ...] = ((),)
USERS = (("--user", "--map-root-user", "--map-auto"), ("--user", "--map-root-user"))
OF_THE_SYSTEM = (
    "/bin",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/tmp",
)


class NoEnclosureError(Exception):
    """There is no way to mount here; the text says why."""


def inside() -> bool:
    """Say whether we are there already."""
    return _who() is not None


def rootless() -> bool:
    """Say whether the run is a plain user's."""
    return (_who() or _ourselves()) == "user"


def enter(argv: list[str]) -> None:
    """Start this program again inside; return only by an error."""
    if shutil.which("unshare") is None:
        raise NoEnclosureError("unshare (util-linux) is not installed")
    words = ["unshare", *_words(USERS if _ourselves() == "user" else ROOT), *MOUNTS]
    again = [str(installed.python()), "-m", "lamina_benchmarks", *argv]
    surroundings = {
        INSIDE: f"{_ourselves()}:{os.getpid()}:{_namespace()}",
        cache.VARIABLE: str(cache.root()),
        "PYTHONPATH": ":".join(filter(None, [str(installed.PACKAGES), os.environ.get("PYTHONPATH")])),
        # For mkfs, and for what dpkg calls.
        "PATH": f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin",
    }
    sys.stdout.flush()
    os.execvpe(words[0], [*words, *again], os.environ | surroundings)


def give_up(kept: Iterable[Path]) -> None:
    """Unmount what others have mounted through servers or as unions, but what we and `kept` live on."""
    for at in unneeded(mounted.entries(), [*_used(), *kept]):
        with contextlib.suppress(subprocess.TimeoutExpired):
            words = ["umount", "--lazy", "--no-canonicalize", "--internal-only", str(at)]
            subprocess.run(words, timeout=SECONDS, capture_output=True, check=False)


def unneeded(entries: Iterable[mounted.Entry], used: Iterable[Path]) -> list[Path]:
    """Return the mount points of unions and servers that lead to nothing that is used, the last first."""
    needed = {Path("/")}
    for path in used:
        # As it is named and as it is: either may lead over a mount.
        for way in (Path(os.path.abspath(path)), path.resolve()):
            needed |= {way, *way.parents}
    others = [
        entry.at
        for entry in entries
        if entry.kind in ("fuse", "overlay") or entry.kind.startswith("fuse.")
        if entry.at not in needed
    ]
    return others[::-1]


def _used() -> Iterator[Path]:
    yield from map(Path, OF_THE_SYSTEM)
    yield bed.PLACE
    yield from (Path.cwd(), cache.root(), installed.PACKAGES, installed.driver(), installed.python())
    yield from map(Path, (tempfile.gettempdir(), sys.prefix, sys.base_prefix))
    for text in (os.environ.get("PATH", ""), ":".join(sys.path), os.environ.get("HOME", "")):
        yield from (Path(part) for part in text.split(":") if part)


def _ourselves() -> str:
    return "root" if os.geteuid() == 0 else "user"


def _who() -> str | None:
    """Return who went in, if this process did."""
    who, _, way = os.environ.get(INSIDE, "").partition(":")
    process, _, left = way.partition(":")
    gone_in = process == str(os.getpid()) and left.isdigit() and left != _namespace()
    return who if gone_in and who in ("root", "user") else None


def _namespace() -> str:
    return str(Path("/proc/self/ns/mnt").stat().st_ino)


def _words(ways: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Return the first way in that works."""
    reason = ""
    for words in ways:
        argv = ["unshare", *words, *MOUNTS, "true"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return words
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"status {done.returncode}"
    raise NoEnclosureError(f"no namespace can be had to mount in: {reason}")
