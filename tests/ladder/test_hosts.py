"""The hosts of tests/support/hosts.py lack what they are said to lack, and nothing else."""

from __future__ import annotations

import subprocess

import pytest

from tests.support import hosts

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.fuse]
# each answers on its own line with its name
PROBES = """
[ $(id -u) != 0 ] || echo root
[ ! -c /dev/fuse ] || echo fuse
grep -q lamina-test /etc/subuid && echo subordinate
unshare --user --map-root-user true && echo userns
unshare --user --map-root-user --pid --mount --fork sh -c 'mount -t proc proc /proc' && echo proc
[ ! -u "$(readlink -f "$(command -v newuidmap)")" ] || echo setuid
"""
PLAIN = {"fuse", "subordinate", "userns", "proc", "setuid"}
ROOT = PLAIN | {"root"}
EXPECTED = {
    "plain": PLAIN,
    "root": ROOT,
    "no-ids": PLAIN - {"subordinate"},
    "no-fuse": PLAIN - {"fuse"},
    "no-userns": ROOT - {"fuse", "userns", "proc"},
    "masked-proc": ROOT - {"proc"},
    "broken-ids": PLAIN - {"setuid"},
    "no-helpers": PLAIN - {"setuid"},
    "null-fuse": PLAIN,
    "no-fuse-ids": PLAIN - {"fuse", "subordinate"},
    "no-userns-user": PLAIN - {"userns", "proc"},
    "powerless-user": PLAIN - {"proc"},
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_a_host_lacks_what_its_kind_says(kind: str) -> None:
    with hosts.host(kind) as host:
        done = subprocess.run(
            host.wrap(["sh", "-c", PROBES]), capture_output=True, text=True, timeout=60, check=False
        )
    assert set(done.stdout.split()) == EXPECTED[kind], done.stderr


def test_what_one_command_starts_the_next_one_finds() -> None:
    with hosts.host("no-userns") as host:
        start = "sleep 600 >/dev/null 2>&1 & echo $!"
        pid = subprocess.run(
            host.wrap(["sh", "-c", start]), capture_output=True, text=True, check=True
        ).stdout
        assert subprocess.run(host.wrap(["kill", "-0", pid.strip()]), check=False).returncode == 0
