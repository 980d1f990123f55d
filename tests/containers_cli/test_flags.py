"""Flags of `run` and `create`, one by one, as a plain user sees them from inside."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest

from tests.containers_cli.conftest import IMAGE, Host, make_host, wait_for

pytestmark = [pytest.mark.fuse, pytest.mark.userns, pytest.mark.root, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def shared() -> Iterator[Host]:
    made = make_host("user")
    yield made
    shutil.rmtree(made.top, ignore_errors=True)


def inside(host: Host, script: str, *flags: str) -> list[str]:
    """Run a script in a container of its own; return its lines."""
    return host("run", "--rm", *flags, IMAGE, "sh", "-c", script).splitlines()


def test_many_at_once(host: Host) -> None:
    script = "ulimit -n; cd /proc/sys; cat net/ipv4/ip_forward kernel/domainname; df -k /dev/shm | tail -1"
    flags = ["--ulimit", "nofile=64:128", "--network", "none", "--sysctl", "net.ipv4.ip_forward=1",
             "--domainname", "example.org", "--shm-size", "2m", "--oom-score-adj", "500"]  # fmt: skip
    lines = inside(host, f"{script}; cat /proc/self/oom_score_adj; echo $(ulimit -Hn)", *flags)
    assert lines[:3] == ["64", "1", "example.org"]
    assert lines[3].split()[1] == "2048"
    assert lines[4:] == ["500", "128"]


def test_a_device_is_there_and_only_the_one(host: Host) -> None:
    lines = inside(host, "test -c /dev/other && echo there; ls /dev", "--device", "/dev/fuse:/dev/other")
    assert lines[0] == "there"
    assert "fuse" not in lines
    assert host.run("run", "--device", "/dev/nosuch", IMAGE, "true").returncode == 125
    assert host.run("run", "--device", "/dev/null:/dev/x:r", IMAGE, "true").returncode == 125


def test_masks(host: Host) -> None:
    script = "wc -c < /etc/passwd; wc -c < /proc/interrupts; grep -c ' /proc/' /proc/mounts; true"
    usual, masked = inside(host, script), inside(host, script, "--security-opt", "mask=/etc/passwd")
    assert (masked[0], usual[0] != "0", usual[1], usual[2] != "0") == ("0", True, "0", True)
    assert inside(host, script, "--security-opt", "unmask=/proc/inter*")[1] != "0"
    assert inside(host, script, "--security-opt", "unmask=ALL")[2] == "0"
    host("create", "--name", "shown", "--security-opt", "mask=/srv", "--security-opt", "unmask=ALL", IMAGE)
    described = json.loads(host("inspect", "-f", "{{json .HostConfig}}", "shown"))
    assert (described["MaskedPaths"], described["ReadonlyPaths"]) == (["/srv"], None)


@pytest.mark.parametrize(
    "word", ["seccomp=/nosuch", "mask=relative", "no-new-privileges=x", "nosuch=1", "seccomp"]
)
def test_security_options_that_make_no_sense(host: Host, word: str) -> None:
    ended = host.run("run", "--rm", "--security-opt", word, IMAGE, "true")
    assert (ended.returncode, "Traceback" in ended.stderr) == (125, False)


def test_filters_and_new_privileges(host: Host) -> None:
    script = "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status | cut -f2"
    assert inside(host, script) == ["0", "2"]
    assert inside(host, script, "--security-opt", "no-new-privileges") == ["1", "2"]
    assert inside(host, script, "--security-opt", "seccomp=unconfined") == ["0", "0"]
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 42}
    profile = host.top / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    ended = host.run("run", "--rm", "--security-opt", f"seccomp={profile}", IMAGE, "mkdir", "/new")
    assert (ended.returncode, "No message of desired type" in ended.stderr) == (1, True)
    told = host.run("run", "--rm", "--security-opt", "apparmor=mine", IMAGE, "echo", "runs")
    assert told.stdout == "runs\n"
    assert (
        told.stderr == "--security-opt apparmor=mine: AppArmor is not used for containers, they run without\n"
    )


def test_capabilities_by_their_names(host: Host) -> None:
    script = "grep CapBnd /proc/self/status | cut -f2"
    (usual,) = inside(host, script)
    (more,) = inside(host, script, "--cap-add", "cap_sys_time", "--cap-drop", "Chown")
    assert int(more, 16) == int(usual, 16) & ~1 | 1 << 25
    (only,) = inside(host, script, "--cap-drop", "ALL", "--cap-add", "KILL")
    assert int(only, 16) == 1 << 5
    assert host.run("run", "--cap-add", "NOSUCH", IMAGE, "true").returncode == 125


def test_temporary_file_systems(host: Host) -> None:
    script = (
        "grep ' /t' /proc/mounts; echo '#!/bin/sh' > /t1/x; chmod +x /t1/x; /t1/x || echo refused; touch /x"
    )
    flags = ["--read-only", "--tmpfs", "/t1:size=64k", "--tmpfs", "/t2:exec,mode=700"]
    ended = host.run("run", "--rm", *flags, IMAGE, "sh", "-c", script)
    assert ended.returncode == 1
    first, second, refused = ended.stdout.splitlines()
    assert "size=64k" in first
    assert "noexec" in first
    assert ("noexec" in second, "mode=700" in second) == (False, True)
    assert refused == "refused"
    assert "Read-only file system" in ended.stderr


def test_environment_files(host: Host) -> None:
    (host.top / "env").write_text("# comment\n\nONE=1\nSPACED=a b\nHOME\nNOSUCHVARIABLE\nTWICE=file\n")
    lines = inside(
        host, "env | sort", "--env-file", str(host.top / "env"), "-e", "TWICE=flag", "-e", "EMPTY="
    )
    assert {"ONE=1", "SPACED=a b", "TWICE=flag", "EMPTY="} <= set(lines)
    assert not any(line.startswith("NOSUCHVARIABLE") for line in lines)
    assert host.run("run", "--env-file", "/nosuch", IMAGE, "true").returncode == 125
    assert host.run("run", "-e", "=x", IMAGE, "true").returncode == 125


def test_stop_signal_and_timeout(host: Host) -> None:
    script = "trap 'echo asked; exit 5' USR1; trap '' TERM; echo up; while :; do sleep 0.05; done"
    host("run", "-d", "--name", "asked", "--stop-signal", "SIGUSR1", IMAGE, "sh", "-c", script)
    host("run", "-d", "--name", "forced", "--stop-timeout", "0", IMAGE, "sh", "-c", script)
    for name in ("asked", "forced"):
        wait_for(lambda name=name: "up" in host("logs", name), 30)
    host("stop", "asked", "forced")
    assert (host.state("asked"), host.state("forced")) == ("exited 5", "exited 137")
    assert host("inspect", "-f", "{{.Config.StopSignal}} {{.Config.StopTimeout}}", "forced").split()[1] == "0"
    assert host.run("run", "--stop-signal", "NOSUCH", IMAGE, "true").returncode == 125


def test_init_reaps_and_is_named(host: Host) -> None:
    script = "(sleep 0.01 &) ; sleep 0.3; cat /proc/1/comm; grep -l '^State:.Z' /proc/[0-9]*/status | wc -l"
    assert inside(host, script, "--init") == ["lamina-init", "0"]


def test_pull_policies_and_platforms(host: Host) -> None:
    assert host("run", "--rm", "--pull", "never", IMAGE, "echo", "here") == "here\n"
    refused = host.run("run", "--rm", "--pull", "sometimes", IMAGE, "true")
    assert (refused.returncode, "invalid pull option" in refused.stderr) == (125, True)
    absent = host.run("run", "--rm", "--pull", "never", "nosuch", "true")
    assert (absent.returncode, "nosuch" in absent.stderr) == (125, True)
    for platform, said in (("not/a/valid/platform", "is not a platform"), ("linux/s390x", "for linux/s390x")):
        wrong = host.run("run", "--rm", "--pull", "never", "--platform", platform, IMAGE, "true")
        assert (wrong.returncode, said in wrong.stderr) == (125, True)
    machine = host("inspect", "-f", "{{.Os}}/{{.Architecture}}", IMAGE).strip()
    assert inside(host, "echo here", "--platform", machine) == ["here"]


def test_cidfile_is_not_written_twice(host: Host) -> None:
    path = host.top / "cid"
    identity = host("create", "--cidfile", str(path), IMAGE).strip()
    assert path.read_text() == identity
    assert host.run("create", "--cidfile", str(path), IMAGE).returncode == 125
    assert host("ps", "-aq", "--no-trunc").split() == [identity]
