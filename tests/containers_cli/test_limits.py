"""Limits: held where control groups are ours, refused where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.containers_cli.conftest import IMAGE, Host

pytestmark = [pytest.mark.fuse, pytest.mark.userns, pytest.mark.root, pytest.mark.timeout(120)]
GROUPS = Path("/sys/fs/cgroup")


def _values(identity: str) -> dict[str, str]:
    """Return the files of a container's groups that hold limits."""
    names = (
        "memory.limit_in_bytes memory.soft_limit_in_bytes cpu.cfs_quota_us cpu.shares cpuset.cpus pids.max "
        "memory.max cpu.max cpu.weight"
    ).split()
    groups = [path for path in GROUPS.rglob(f"lamina-{identity}") if path.is_dir()]
    return {name: (group / name).read_text().strip() for group in groups for name in names
            if (group / name).exists()}  # fmt: skip


def _limited(host: Host, flag: str, value: str) -> bool:
    """Whether this host gives a controller; where it does not, the refusal is loud and clear."""
    ended = host.run("create", flag, value, IMAGE, "true")
    if ended.returncode == 0:
        host("rm", ended.stdout.strip())
        return True
    assert ended.returncode == 125
    assert ended.stderr.startswith(f"error: {flag}: no control group of ours")
    assert host("ps", "-aq") == ""
    return False


def test_limits_are_held_shown_and_changed(host: Host) -> None:
    tried = (("--memory", "64m"), ("--cpus", "0.5"), ("--cpuset-cpus", "0"), ("--pids-limit", "20"))
    given = [_limited(host, flag, value) for flag, value in tried]
    if not all(given):
        assert host.before, "root has control groups where the tests run"
        return
    flags = ["-m", "64m", "--memory-reservation", "32m", "--cpus", "0.5", "--cpu-shares", "512"]
    flags += ["--cpuset-cpus", "0", "--pids-limit", "20"]
    identity = host("run", "-d", "--name", "small", *flags, IMAGE, "sleep", "100").strip()
    values = _values(identity)
    assert values.get("memory.limit_in_bytes", values.get("memory.max")) == str(64 << 20)
    assert values["pids.max"] == "20"
    assert values["cpuset.cpus"] == "0"
    assert values.get("cpu.cfs_quota_us", "50000") == "50000"
    assert values.get("cpu.max", "50000 100000") == "50000 100000"
    fields = ("Memory", "NanoCpus", "PidsLimit", "MemorySwap")
    form = " ".join(f"{{{{.HostConfig.{field}}}}}" for field in fields)
    assert host("inspect", "-f", form, "small").split() == ["67108864", "500000000", "20", "134217728"]
    assert "/ 64MiB" in host("stats", "--no-stream", "--format", "{{.MemUsage}}", "small")
    # who joins is in the same groups: 20 are too many for all of them together
    script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 5 & done"
    assert "can't fork" in host.run("exec", "small", "sh", "-c", script).stderr
    host("update", "--memory", "96m", "--pids-limit", "30", "small")
    values = _values(identity)
    assert values.get("memory.limit_in_bytes", values.get("memory.max")) == str(96 << 20)
    assert values["pids.max"] == "30"
    host("stop", "-t", "0", "small")
    assert not _values(identity)
    host("start", "small")
    assert _values(identity)["pids.max"] == "30"
    host("rm", "-f", "small")
    assert not _values(identity)


def test_who_takes_too_much_memory_is_killed_and_that_is_known(host: Host) -> None:
    if not _limited(host, "--memory", "16m"):
        return
    host.run("run", "--name", "hungry", "-m", "16m", IMAGE, "tail", "/dev/zero")
    assert host("inspect", "-f", "{{.State.ExitCode}} {{.State.OOMKilled}}", "hungry") == "137 true\n"


@pytest.mark.parametrize(
    "flags",
    [
        ("-m", "1m"), ("-m", "x"), ("-m", "-1"), ("--memory-swap", "64m"),
        ("-m", "64m", "--memory-swap", "32m"),
        ("-m", "32m", "--memory-reservation", "64m"), ("--cpus", "0.001"), ("--cpus", "1000"),
        ("--cpus", "nan"),
        ("--cpu-shares", "1"), ("--cpuset-cpus", "a"), ("--cpuset-cpus", "9999"), ("--blkio-weight", "5"),
        ("--pids-limit", "many"),
    ],
)  # fmt: skip
def test_limits_that_make_no_sense(host: Host, flags: tuple[str, ...]) -> None:
    ended = host.run("run", *flags, IMAGE, "true")
    assert (ended.returncode, "Traceback" in ended.stderr, bool(ended.stderr)) == (125, False, True)
    assert host("ps", "-aq") == ""
