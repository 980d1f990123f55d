"""Published ports, through the command: how they are reached, shown, refused and given back."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.containers_cli.conftest import IMAGE
from tests.networks.conftest import Host, connected, received, relatives, wait_for

pytestmark = [pytest.mark.fuse, pytest.mark.userns, pytest.mark.root, pytest.mark.timeout(90)]
# busybox has no word for UDP: the host's Python, in the container's network
DATAGRAMS = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 53))
while True:
    s.sendto(*s.recvfrom(9000))
"""
PYTHON = os.path.realpath(sys.executable)
ECHO = "while :; do nc -l -p 80 -e cat; done"


def started(host: Host, *words: str) -> int:
    """Run an echo server as container "echo"; return the host's port of its port 80."""
    host("run", "-d", "--name", "echo", *words, IMAGE, "sh", "-c", ECHO)
    return int(host("port", "echo", "80").splitlines()[0].rpartition(":")[2])


def test_ports_are_reached_and_shown(host: Host) -> None:
    words = ["-p", "80", "-p", "127.0.0.1:0:53/udp", "--expose", "7000-7001", "-v", "/:/host:ro"]
    port = started(host, *words, "--network=private")
    host("exec", "-d", "echo", "chroot", "/host", PYTHON, "-I", "-S", "-c", DATAGRAMS)
    data = b"0123456789abcdef" * 20_000
    with connected(port) as side:
        side.sendall(data)
        side.shutdown(socket.SHUT_WR)  # nc ends when its input does: what it has then still arrives
        assert received(side) == data
    if socket.has_ipv6 and Path("/proc/net/if_inet6").exists():
        with connected(port, "::1"):
            pass
    shown = host("port", "echo").splitlines()
    assert f"80/tcp -> 0.0.0.0:{port}" in shown
    udp = int(next(line for line in shown if line.startswith("53/udp")).rpartition(":")[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as side:
        side.settimeout(0.2)
        side.connect(("127.0.0.1", udp))

        def answered() -> bool:
            with suppress(TimeoutError, ConnectionError):
                side.send(b"datagram")
                return side.recv(100) == b"datagram"
            return False

        wait_for(answered, 20)
    column = host("ps", "--format", "{{.Ports}}").strip()
    assert f"0.0.0.0:{port}->80/tcp" in column
    assert f"127.0.0.1:{udp}->53/udp" in column
    assert column.endswith("7000/tcp, 7001/tcp")
    ports = json.loads(host("inspect", "-f", "{{json .NetworkSettings.Ports}}", "echo"))
    assert ports["80/tcp"][0] == {"HostIp": "0.0.0.0", "HostPort": str(port)}
    assert ports["7000/tcp"] is None
    assert host.run("port", "echo", "81").returncode == 1
    assert "socket" not in host("exec", "echo", "ls", "-l", "/proc/1/fd")


@pytest.mark.parametrize("shared", ["user"], indirect=True)
def test_a_port_that_is_taken_is_one_line(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for words in (("-d",), ("--rm",)):
            ended = host.run("run", *words, "-p", f"127.0.0.1:{port}:80", IMAGE, "true")
            assert ended.returncode == 125
            first = ended.stderr.splitlines()[0]
            assert first == f"error: cannot publish port 127.0.0.1:{port}/tcp: port is already allocated"
            wait_for(lambda: not host.processes())
            low = host.run("run", "--rm", "-p", f"127.0.0.1:{port}-{port}:80", IMAGE, "true")
            assert low.returncode == 125
        # of a range, the next that is free
        port = started(host, "-p", f"127.0.0.1:{port}-{port + 9}:80")
        with connected(port):
            pass


@pytest.mark.parametrize("shared", ["single"], indirect=True)
def test_ports_without_a_way_out_and_after_a_restart(host: Host) -> None:
    port = started(host, "-p", "127.0.0.1:0:80", "--network", "none")
    with connected(port):
        pass
    assert host("exec", "echo", "sh", "-c", "tail -n +3 /proc/net/dev | wc -l").strip() == "1"
    host("kill", "echo")
    assert host("port", "echo") == ""
    assert host("ps", "-a", "--format", "{{.Ports}}") == "\n"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    host("start", "echo")
    with connected(int(host("port", "echo", "80").rpartition(":")[2])):
        pass


@pytest.mark.parametrize("shared", ["root", "user"], indirect=True)
def test_nothing_outlives_a_monitor_that_is_killed(host: Host) -> None:
    port = started(host, "-p", "127.0.0.1:0:80")
    with connected(port):
        pass
    family = relatives(int(host("inspect", "-f", "{{.State.Pid}}", "echo")))
    assert len(family) >= 4  # the monitor, the driver, process 1, the forwarder, and mostly slirp4netns
    os.kill(family[0], signal.SIGKILL)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), 20)


@pytest.mark.parametrize("shared", ["user"], indirect=True)
def test_no_socket_of_the_host_is_with_an_init(host: Host) -> None:
    out = host("run", "--rm", "--init", "-p", "127.0.0.1:0:80", IMAGE, "ls", "-l", "/proc/1/fd")
    assert "socket" not in out


@pytest.mark.parametrize("shared", ["user"], indirect=True)
def test_the_hosts_network_has_no_use_for_ports(host: Host) -> None:
    ended = host.run("run", "--rm", "--network", "host", "-p", "80", IMAGE, "true")
    assert (ended.returncode, "discarded" in ended.stderr) == (0, True)


NONSENSE = ["x", "80:", "1:2:3:4", "70000", "80-70:80", "1-3:1-2", "80/sctp", "1.2.3:80:80", "", "-1"]


@pytest.mark.parametrize("shared", ["root"], indirect=True)
def test_nonsense_is_refused(host: Host) -> None:
    for text in NONSENSE:
        ended = host.run("run", "--rm", "-p", text, IMAGE, "true")
        assert (ended.returncode, len(ended.stderr.splitlines())) == (125, 1)
