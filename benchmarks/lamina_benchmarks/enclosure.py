"""Where a run takes place: a mount namespace of its own, and for a plain user a user namespace.

Nothing is left mounted, whatever happens, and the mounts of others are not held open: they are
given up at the start, as a namespace that is made later would keep their servers alive.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from lamina_benchmarks import cache, installed

INSIDE = "LAMINA_BENCH_INSIDE"
GIVE_UP = """
grep -E ' - (fuse|fuse\\.[^ ]*|overlay) ' /proc/self/mountinfo | cut -d' ' -f5 | tac | while read -r at; do
	umount -l "$at" 2>/dev/null
done
exec "$@"
"""
MOUNTS = ("--mount", "--propagation=private")
# With all ids that the user has been given, or else as root alone.
ROOT: tuple[tuple[str, ...], ...] = ((),)
USERS = (("--user", "--map-root-user", "--map-auto"), ("--user", "--map-root-user"))


class NoEnclosureError(Exception):
    """There is no way to mount here; the text says why."""


def inside() -> bool:
    """Say whether we are there already."""
    return INSIDE in os.environ


def rootless() -> bool:
    """Say whether the run is a plain user's."""
    return os.environ.get(INSIDE, "root" if os.geteuid() == 0 else "user") == "user"


def enter(argv: list[str]) -> None:
    """Start this program again inside; return only by an error."""
    if shutil.which("unshare") is None:
        raise NoEnclosureError("unshare (util-linux) is not installed")
    plain = os.geteuid() != 0
    words = ["unshare", *_words(USERS if plain else ROOT), *MOUNTS, "sh", "-c", GIVE_UP, "sh"]
    again = [str(installed.python()), "-m", "lamina_benchmarks", *argv]
    surroundings = {
        INSIDE: "user" if plain else "root",
        cache.VARIABLE: str(cache.root()),
        "PYTHONPATH": ":".join(filter(None, [str(installed.PACKAGES), os.environ.get("PYTHONPATH")])),
        # For mkfs, and for what dpkg calls.
        "PATH": f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin",
    }
    sys.stdout.flush()
    os.execvpe(words[0], [*words, *again], os.environ | surroundings)


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
