"""`--runtime`: containers that runc starts in the launcher's place, and bundles that it takes by hand."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.containers_cli.conftest import IMAGE, Host, wait_for
from tests.containers_cli.terminal import Terminal

pytestmark = [
    pytest.mark.fuse,
    pytest.mark.userns,
    pytest.mark.root,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not Path("/usr/sbin/runc").exists(), reason="runc is not installed"),
]
RUNC = ("--runtime", "runc")


def _value(host: Host, form: str, name: str) -> str:
    return host("inspect", "-f", form, name).strip()


def _states(host: Host, name: str) -> list[Path]:
    """Return what runc keeps of a container."""
    run = Path(_value(host, "{{.ResolvConfPath}}", name)).parent
    return list((run / "bundle/state").glob("*"))


def test_run_as_with_our_own(host: Host) -> None:
    script = "id -u; id -G; hostname; cat /proc/1/comm; cat /proc/self/status | grep ^Seccomp:; exit 3"
    own = host.run("run", "--rm", "-h", "box", "-u", "user", IMAGE, "sh", "-c", script)
    ended = host.run("run", "--rm", "-h", "box", "-u", "user", *RUNC, IMAGE, "sh", "-c", script)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, own.stdout, own.stderr)
    assert "Seccomp:\t2" in ended.stdout
    assert host("run", "--rm", "-i", "--runtime", "/usr/sbin/runc", IMAGE, "cat", stdin="in\n") == "in\n"


def test_life(host: Host) -> None:
    script = "trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.1; done"
    host("run", "-d", "--name", "other", *RUNC, IMAGE, "sh", "-c", script)
    assert _value(host, "{{.HostConfig.Runtime}} {{.State.Status}}", "other") == "runc running"
    assert len(_states(host, "other")) == 1
    assert host("exec", "-e", "A=b", "other", "sh", "-c", "echo $A; echo one > /new; hostname") == (
        f"b\n{_value(host, '{{.Id}}', 'other')[:12]}\n"
    )
    assert host.run("exec", "other", "nosuch").returncode == 127
    assert host("diff", "other") == "A /new\n"
    assert "no such file" not in host("cp", "other:/new", "-")
    host("pause", "other")
    assert host.state("other") == "paused 0"
    host("unpause", "other")
    host("commit", "other", "changed")
    host("stop", "other")
    assert host.state("other") == "exited 4"
    assert host("logs", "other") == "up\nbye\n"
    assert not _states(host, "other")
    assert host("run", "--rm", *RUNC, "changed", "cat", "/new") == "one\n"
    host("start", "other")
    host("kill", "other")
    assert host.state("other") == "exited 137"
    assert host("wait", "other") == "137\n"
    host("rm", "other")
    host("rmi", "changed")


@pytest.mark.parametrize("shared", ["user"], indirect=True)
def test_terminal(host: Host) -> None:
    script = "trap 'echo size $(stty size)' WINCH; echo size $(stty size); tty; "
    script += "while :; do read line && exit 7; done"
    words = host.command("run", "--rm", "-it", *RUNC, IMAGE, "sh", "-c", script)
    with Terminal(words, rows=11, columns=44) as terminal:
        terminal.expect("size 11 44")
        terminal.expect("/dev/")
        terminal.resize(9, 33)
        terminal.expect("size 9 33")
        terminal.type(b"line\r")
        assert terminal.status() == 7


@pytest.mark.parametrize("shared", ["single"], indirect=True)
def test_ports_volumes_and_health(host: Host) -> None:
    host("run", "-d", "--name", "web", *RUNC, "-p", "127.0.0.1:0:80", "-v", "kept:/srv", "--health-cmd",
         "test -e /srv/page", "--health-interval", "100ms", "--health-retries", "1000", IMAGE, "sh", "-c",
         "echo page > /srv/page; exec httpd -f -p 80 -h /srv")  # fmt: skip
    where = host("port", "web", "80").strip()
    wait_for(lambda: _value(host, "{{.State.Health.Status}}", "web") == "healthy")

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(where.rpartition(":")[2]))) == 0

    wait_for(answers)
    with urllib.request.urlopen(f"http://{where}/page", timeout=20) as answer:
        assert answer.read() == b"page\n"
    host("rm", "-f", "web")
    host("volume", "rm", "kept")


@pytest.mark.parametrize("shared", ["root"], indirect=True)
def test_failures(host: Host) -> None:
    for words, status, said in (
        ((*RUNC, IMAGE, "nosuch"), 127, 'exec: "nosuch"'),
        ((*RUNC, IMAGE, "/etc/passwd"), 126, "permission denied"),
        ((*RUNC, "-u", "nobody-here", IMAGE, "true"), 125, "unable to find user nobody-here"),
        (("--runtime", "nosuch", IMAGE, "true"), 125, "unknown or invalid runtime name: nosuch"),
        (("--runtime", "/bin/false", IMAGE, "true"), 125, "the runtime does not create the container"),
        (("--runtime", "/bin/true", IMAGE, "true"), 125, "does not say which process it created"),
        ((*RUNC, "--root-emulation", "record", IMAGE, "true"), 125, "own launcher only"),
    ):
        ended = host.run("run", "--rm", *words)
        assert ended.returncode == status, ended
        assert said in ended.stderr
        assert ended.stdout == ""


@pytest.mark.parametrize("shared", ["root", "user"], indirect=True)
@pytest.mark.parametrize("who", ["monitor", "monitor and hand"])
def test_killed(host: Host, who: str) -> None:
    host("run", "-d", "--name", "victim", *RUNC, IMAGE, "sleep", "100")
    pid = int(_value(host, "{{.State.Pid}}", "victim"))
    monitor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    children = Path(f"/proc/{monitor}/task/{monitor}/children").read_text().split()
    hands = [int(child) for child in children if Path(f"/proc/{child}/comm").read_text() == "lamina-hand\n"]
    assert len(hands) == 1
    for one in (*(hands if "hand" in who else ()), monitor):
        os.kill(one, signal.SIGKILL)
    if "hand" in who:
        assert host.state("victim") == "running 0"  # runc's first process does not go with its parents
        host("kill", "victim")
    wait_for(lambda: host.state("victim") == "exited 255")
    wait_for(lambda: not Path(f"/proc/{pid}").exists())
    host("start", "victim")
    assert host.state("victim") == "running 0"
    assert len(_states(host, "victim")) == 1


@pytest.mark.parametrize("shared", ["root"], indirect=True)
def test_a_bundle_by_hand(host: Host) -> None:
    """As root: a tree that a plain user mounts is for his own ids alone."""
    host("run", "-d", "--name", "mine", "-e", "A=b", IMAGE, "sh", "-c", "echo $A; id -u; exec sleep 100")
    bundle = host.top / "root/containers" / _value(host, "{{.Id}}", "mine")
    merged = Path(json.loads((bundle / "config.json").read_text())["root"]["path"])
    (driver,) = host.processes()
    words = Path(f"/proc/{driver}/cmdline").read_bytes().decode().split("\0")[:-1]
    host("kill", "mine")
    config = json.loads((bundle / "config.json").read_text())
    config["process"]["args"] = ["sh", "-c", "echo $A; id -u; hostname"]
    (bundle / "config.json").write_text(json.dumps(config))
    subprocess.run([word for word in words if word not in ("-f", "--ready-fd=3")], check=True, timeout=20)
    try:
        ended = subprocess.run(
            ["/usr/sbin/runc", "--root", host.top / "state", "run", "--bundle", bundle, "by-hand"],
            capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    finally:
        subprocess.run(["umount", merged], check=True, timeout=10)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"b\n0\n{bundle.name[:12]}\n"
