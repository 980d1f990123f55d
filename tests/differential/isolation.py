"""A mount namespace of our own: whatever happens to us, nothing stays mounted outside."""

import os
import subprocess
import sys
from pathlib import Path

_INSIDE = "LAMINA_TEST_OWN_MOUNTS"


def enter_own_mounts(module: str) -> None:
    """Run the module again, with the same arguments, in a new mount namespace; return there."""
    if os.environ.get(_INSIDE) == module:
        return
    argv = ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", module, *sys.argv[1:]]
    os.execvpe(argv[0], argv, os.environ | {_INSIDE: module})


def enter_own_ids(module: str) -> None:
    """Run the module again as root of a user namespace with the same ids; return there.

    Its capabilities are worth nothing outside: what it mounts has what any user can have.
    """
    if os.environ.get(_INSIDE) == module:
        return
    words = [
        "unshare",
        "--user",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        'read -r _; exec "$@"',
        "sh",
    ]
    argv = [*words, sys.executable, "-m", module, *sys.argv[1:]]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, env=os.environ | {_INSIDE: module}) as inside:
        assert inside.stdin is not None
        _wait_for_namespace(inside)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{inside.pid}/{name}").write_text("0 0 65536\n", encoding="ascii")
        inside.stdin.write(b"\n")
        inside.stdin.flush()
        sys.exit(inside.wait())


def _wait_for_namespace(inside: "subprocess.Popen[bytes]") -> None:
    ours = os.readlink("/proc/self/ns/user")
    while inside.poll() is None and os.readlink(f"/proc/{inside.pid}/ns/user") == ours:
        os.sched_yield()
