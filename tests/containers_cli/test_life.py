"""From start to removal: stop, kill, pause, logs, exec, and what survives a killed monitor or driver."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.containers_cli.conftest import IMAGE, Host, wait_for

pytestmark = [pytest.mark.fuse, pytest.mark.userns, pytest.mark.root, pytest.mark.timeout(120)]


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _pid(host: Host, name: str) -> int:
    return int(host("inspect", "-f", "{{.State.Pid}}", name))


def test_stop_start_logs_and_rename(host: Host) -> None:
    script = "trap 'exit 3' TERM; echo one; echo two >&2; while :; do sleep 0.1; done"
    host("run", "-d", "--name", "first", IMAGE, "sh", "-c", script)
    wait_for(lambda: host.run("logs", "first").stdout == "one\n", 20)
    host("stop", "first")
    assert host.state("first") == "exited 3"
    host("rename", "first", "second")
    host("start", "second")
    assert host.state("second") == "running 0"
    wait_for(lambda: host.run("logs", "second").stdout == "one\none\n", 20)
    assert host("logs", "--tail", "0", "second") == ""
    assert "Up " in host("ps", "--format", "{{.Status}}", "--filter", "name=second")
    host("kill", "second")
    assert host.state("second") == "exited 137"
    assert host("wait", "second") == "137\n"


def test_exec(host: Host) -> None:
    host("run", "-d", "--name", "busy", "-e", "OWN=1", IMAGE, "sleep", "100")
    assert (
        host("exec", "-e", "NEW=2", "-w", "/etc", "busy", "sh", "-c", "echo $OWN $NEW $PWD") == "1 2 /etc\n"
    )
    assert host("exec", "-i", "busy", "cat", stdin="through\n") == "through\n"
    assert host.run("exec", "busy", "sh", "-c", "exit 5").returncode == 5
    assert host.run("exec", "busy", "nosuch").returncode == 127
    assert host.run("exec", "busy", "/etc/passwd").returncode == 126
    assert host.run("exec", "nosuch", "true").returncode == 125
    refused = host.run("exec", "-w", "/not/there", "busy", "true")
    assert (refused.returncode, "working directory /not/there" in refused.stderr) == (127, True)
    assert "/not" not in host("diff", "busy")  # only `run` makes it
    every = int(Path("/proc/self/status").read_text().partition("CapBnd:")[2].split()[0], 16)
    seen = host("exec", "--privileged", "busy", "grep", "CapEff", "/proc/self/status").split()[1]
    assert int(seen, 16) & every == every


def test_pause(host: Host) -> None:
    host("run", "-d", "--name", "still", IMAGE, "sleep", "100")
    host("pause", "still")
    assert host.state("still") == "paused 0"
    assert host.run("pause", "still").returncode == 1
    assert host.run("exec", "still", "true").returncode == 125
    host("unpause", "still")
    assert host.state("still") == "running 0"


@pytest.mark.parametrize("who", ["monitor", "first process", "driver"])
def test_killed(host: Host, who: str) -> None:
    host("run", "-d", "--name", "victim", IMAGE, "sleep", "100")
    pid = _pid(host, "victim")
    (driver,) = host.processes()
    os.kill({"monitor": _parent(pid), "first process": pid, "driver": driver}[who], signal.SIGKILL)
    status = 255 if who == "monitor" else 137
    wait_for(lambda: host.state("victim") == f"exited {status}", 20)
    wait_for(lambda: not host.processes() and not Path(f"/proc/{pid}").exists(), 20)
    host("start", "victim")
    assert host.state("victim") == "running 0"


def test_restart_policy(host: Host) -> None:
    host("run", "-d", "--name", "again", "--restart", "on-failure:2", IMAGE, "sh", "-c", "echo run; exit 1")
    wait_for(lambda: host("logs", "again") == "run\n" * 3, 30)
    time.sleep(1)
    assert host("logs", "again") == "run\n" * 3
    assert host("inspect", "-f", "{{.RestartCount}}", "again") == "2\n"


def test_restarting_is_a_state(host: Host) -> None:
    host("run", "-d", "--name", "again", "--restart", "always", IMAGE, "sh", "-c", "echo run; exit 4")
    # the pause doubles, so that it is soon long enough to be seen
    wait_for(lambda: "Restarting (4) " in host("ps", "--filter", "status=restarting"), 60)
    form = "{{.State.Status}} {{.State.Running}} {{.State.ExitCode}}"
    wait_for(lambda: host("inspect", "-f", form, "again") == "restarting true 4\n", 60)
    refused = host.run("rm", "again")
    assert refused.returncode == 1
    assert "container is " in refused.stderr
    host("stop", "-t", "0", "again")
    assert host.state("again") == "exited 4" or host.state("again") == "exited 137"
    before = host("logs", "again")
    assert host("ps", "-q") == ""
    wait_for(lambda: not host.processes(), 30)
    assert host("logs", "again") == before
    host("update", "--restart", "no", "again")
    host("start", "again")
    assert host("wait", "again") == "4\n"
    wait_for(lambda: not host.processes(), 30)
    assert host("inspect", "-f", "{{.RestartCount}}", "again") == "0\n"


def test_image_in_use(host: Host) -> None:
    host("create", "--name", "user", IMAGE)
    refused = host.run("rmi", IMAGE)
    assert refused.returncode == 1
    assert "must be forced" in refused.stderr
    assert host.run("run", "--rm", IMAGE, "true").returncode == 0


def test_health(host: Host) -> None:
    probe = "test -e /well && echo fine || { echo ill >&2; exit 3; }"
    flags = ["--health-cmd", probe, "--health-interval", "50ms", "--health-retries", "2"]
    host("run", "-d", "--name", "patient", *flags, IMAGE, "sleep", "100")

    def health() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(host("inspect", "-f", "{{json .State.Health}}", "patient"))
        return found

    wait_for(lambda: health()["Status"] == "unhealthy", 30)
    assert health()["FailingStreak"] >= 2
    assert {(row["ExitCode"], row["Output"]) for row in health()["Log"]} == {(3, "ill\n")}
    assert "(unhealthy)" in host("ps", "--filter", "health=unhealthy", "--format", "{{.Status}}")
    host("exec", "patient", "touch", "/well")
    wait_for(lambda: health()["Status"] == "healthy", 30)
    assert health()["FailingStreak"] == 0
    assert "(healthy)" in host("ps", "--filter", "health=healthy")
    wait_for(lambda: {row["Output"] for row in health()["Log"]} == {"fine\n"}, 30)
    assert len(health()["Log"]) == 5
    assert host("ps", "-q", "--filter", "health=none") == ""
    host("stop", "-t", "0", "patient")


def test_health_of_what_takes_too_long_or_is_not_there(host: Host) -> None:
    flags = ["--health-interval", "20ms", "--health-timeout", "100ms", "--health-retries", "1"]
    host("run", "-d", "--name", "slow", *flags, "--health-cmd", "sleep 50", IMAGE, "sleep", "100")
    host("run", "-d", "--name", "starting", "--health-start-period", "1h", "--health-start-interval", "20ms",
         "--health-cmd", "nosuch", "--health-retries", "1", IMAGE, "sleep", "100")  # fmt: skip
    wait_for(lambda: "unhealthy" in host("inspect", "-f", "{{.State.Health.Status}}", "slow"), 30)
    row = json.loads(host("inspect", "-f", "{{json .State.Health}}", "slow"))["Log"][0]
    assert (row["ExitCode"], "exceeded timeout" in row["Output"]) == (-1, True)
    wait_for(lambda: "nosuch" in host("inspect", "-f", "{{json .State.Health.Log}}", "starting"), 30)
    assert host("inspect", "-f", "{{.State.Health.Status}}", "starting") == "starting\n"
    assert "(health: starting)" in host("ps", "--filter", "name=starting")


def test_health_of_the_image(host: Host) -> None:
    change = 'HEALTHCHECK --interval=50ms --retries=1 CMD ["test", "-e", "/etc/passwd"]'
    host("import", "-c", 'CMD ["sleep", "100"]', "-c", change, str(host.top / "box.tar"), "checked")
    host("run", "-d", "--name", "own", "checked")
    host("run", "-d", "--name", "other", "--health-cmd", "false", "checked")
    host("run", "-d", "--name", "without", "--no-healthcheck", "checked")
    wait_for(lambda: host("ps", "-q", "--filter", "health=healthy", "--filter", "name=own") != "", 30)
    wait_for(lambda: host("ps", "-q", "--filter", "health=unhealthy", "--filter", "name=other") != "", 30)
    assert host("inspect", "-f", "{{json .Config.Healthcheck.Test}}", "without") == '["NONE"]\n'
    assert host("ps", "--filter", "health=none", "--format", "{{.Names}}") == "without\n"
    refused = host.run("run", "--no-healthcheck", "--health-cmd", "true", "checked")
    assert (refused.returncode, "conflicts" in refused.stderr) == (125, True)


def _data(host: Host, name: str) -> Path:
    return host.top / "root/containers" / host("inspect", "-f", "{{.Id}}", name).strip()


@pytest.mark.parametrize("shared", ["root", "user"], indirect=True)
def test_a_commit_that_is_killed_leaves_nobody_paused(host: Host) -> None:
    script = "head -c 64000000 /dev/zero > /big; echo there; exec sleep 100"
    host("run", "-d", "--name", "still", IMAGE, "sh", "-c", script)
    wait_for(lambda: host("logs", "still") == "there\n")
    note = _data(host, "still") / "still"
    commit = host.start("commit", "still", "image")
    wait_for(lambda: commit.poll() is not None or (note.exists() and note.stat().st_size))
    commit.kill()
    commit.communicate(timeout=20)
    assert host.state("still") == "running 0"
    assert host("exec", "still", "echo", "goes on") == "goes on\n"
    # the same without luck: paused, by somebody who is not there any more
    host("pause", "still")
    note.write_text("1")
    with note.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert host.state("still") == "paused 0"
    assert host("exec", "still", "echo", "goes on") == "goes on\n"
    assert host.state("still") == "running 0"
    host("pause", "still")  # by hand, which nobody undoes
    assert host.state("still") == "paused 0"
    host.run("rmi", "image")


@pytest.mark.parametrize("shared", ["root", "user"], indirect=True)
def test_what_a_reboot_leaves(host: Host) -> None:
    for name, *policy in (("ever", "--restart=always"), ("unless", "--restart=unless-stopped"), ("once",)):
        host("run", "-d", "--name", name, *policy, IMAGE, "sleep", "100")
    host("stop", "-t", "0", "unless")
    for name in ("ever", "once"):
        data, run = _data(host, name), Path(host("inspect", "-f", "{{.ResolvConfPath}}", name).strip()).parent
        os.kill(_parent(_pid(host, name)), signal.SIGKILL)
        wait_for(lambda name=name: host.state(name) == "exited 255")
        # as a machine that goes down leaves it, with numbers that others have got since
        stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        for file in ("pid", "driver", "starter", "restarting"):
            (data / file).write_text(f"{os.getpid()} {stat[19]} 00000000-0000-0000-0000-000000000000\n")
            os.chown(data / file, data.stat().st_uid, data.stat().st_gid)
        shutil.rmtree(run)
        assert host.state(name) == "exited 255"
    wanted = ("--filter", "should-start-on-boot=true")
    assert host("ps", "-a", "--format", "{{.Names}}", *wanted) == "ever\n"
    host("start", "--all", *wanted)
    states = [host.state(name) for name in ("ever", "unless", "once")]
    assert states == ["running 0", "exited 137", "exited 255"]
    host("start", "--all", "--filter", "restart-policy=unless-stopped", "--filter", "restart-policy=no")
    assert [host.state(name) for name in ("unless", "once")] == ["running 0", "running 0"]
    for words in (("start",), ("start", "--all", "once"), ("start", "--all", "--filter", "restart-policy=x")):
        assert host.run(*words).returncode == 1
