"""A container's own network: what it has, where it leads, what its files say."""

from __future__ import annotations

import os

import pytest

from tests.containers_cli.conftest import IMAGE
from tests.networks.conftest import Host, served

pytestmark = [pytest.mark.fuse, pytest.mark.userns, pytest.mark.root, pytest.mark.timeout(90)]


@pytest.mark.usefixtures("helped")
def test_the_default_is_a_network_of_its_own_with_a_way_out(host: Host) -> None:
    with served() as port:
        script = (
            "cat /etc/hosts; echo --; cat /etc/resolv.conf; echo --; ip -4 -o addr; echo --; "
            f"nc -w 5 10.0.2.2 {port} </dev/null; "
            "echo --; cat /proc/sys/net/ipv4/ip_unprivileged_port_start"
        )
        out = host(
            "run", "--rm", "--name", "mine", "--hostname", "inside", "--add-host", "gw:host-gateway",
            "--network", "slirp4netns:allow_host_loopback=true,mtu=1500", IMAGE, "sh", "-c", script,
        )  # fmt: skip
    hosts, resolver, addresses, reached, low = out.split("--\n")
    assert "10.0.2.100\tinside mine\n" in hosts
    assert "10.0.2.2\thost.docker.internal host.containers.internal\n10.0.2.2\tgw\n" in hosts
    assert resolver.splitlines()[0] == "nameserver 10.0.2.3"
    assert "127.0.0.1/8" in addresses
    assert "10.0.2.100/24" in addresses
    assert (reached, low) == ("hello from the host\n", "0\n")


@pytest.mark.usefixtures("helped")
@pytest.mark.parametrize("shared", ["user"], indirect=True)
def test_the_hosts_loopback_is_closed_and_networks_are_apart(host: Host) -> None:
    with served() as port:
        ended = host.run("run", "--rm", IMAGE, "nc", "-w", "2", "10.0.2.2", str(port))
        assert ended.returncode == 1
    outer = os.readlink("/proc/self/ns/net")
    for words, same in (((), False), (("--network=bridge",), False), (("--network=host",), True)):
        seen = host("run", "--rm", *words, IMAGE, "readlink", "/proc/self/ns/net").strip()
        assert (seen == outer) == same


@pytest.mark.parametrize("shared", ["user"], indirect=True)
def test_none_has_its_loopback_only(host: Host) -> None:
    script = "ip -o addr | grep -v ' lo '; ping -c 1 127.0.0.1 >/dev/null && echo up; cat /etc/hosts"
    out = host("run", "--rm", "--network", "none", "--hostname", "alone", IMAGE, "sh", "-c", script)
    assert out.splitlines()[0] == "up"
    assert "127.0.1.1\talone" in out
    assert "host.docker.internal" not in out
    ended = host.run("run", "--rm", "--network", "none", "--add-host", "x:host-gateway", IMAGE, "true")
    assert (ended.returncode, "host-gateway" in ended.stderr) == (125, True)


@pytest.mark.parametrize("shared", ["user"], indirect=True)
def test_resolver_as_wished(host: Host) -> None:
    words = ["--dns", "10.9.8.7", "--dns-search", "example.org", "--dns-option", "ndots:2"]
    out = host("run", "--rm", "--network", "none", *words, IMAGE, "cat", "/etc/resolv.conf")
    wanted = ["nameserver 10.9.8.7", "search example.org", "options ndots:2"]
    assert [line for line in out.splitlines() if not line.startswith(("#", ";"))] == wanted


@pytest.mark.parametrize("shared", ["root", "user"], indirect=True)
def test_kernel_parameters_of_the_network(host: Host) -> None:
    words = ["--network", "none", "--sysctl", "net.ipv4.ip_forward=1"]
    out = host("run", "--rm", *words, IMAGE, "cat", "/proc/sys/net/ipv4/ip_forward")
    assert out == "1\n"
    ended = host.run("run", "--rm", "--network", "none", "--sysctl", "net.ipv4.nosuch=1", IMAGE, "true")
    assert (ended.returncode, ended.stderr.count("\n")) == (125, 1)


def test_two_containers_share_a_network(host: Host) -> None:
    host(
        "run",
        "-d",
        "--name",
        "first",
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        "nc -l -p 80 -e cat; sleep 1000",
    )
    script = "echo question | nc 127.0.0.1 80; cat /etc/hosts; readlink /proc/self/ns/net"
    out = host("run", "--rm", "--network", "container:first", IMAGE, "sh", "-c", script)
    assert out.startswith("question\n")
    assert host("exec", "first", "cat", "/etc/hosts") in out
    assert host("exec", "first", "readlink", "/proc/self/ns/net") in out
    host("kill", "first")
    ended = host.run("run", "--rm", "--network", "container:first", IMAGE, "true")
    assert (ended.returncode, "non running" in ended.stderr) == (125, True)


NONSENSE = [
    "nosuch",
    "host:x=1",
    "slirp4netns:nosuch=1",
    "slirp4netns:cidr=x",
    "slirp4netns:mtu=1",
    "container:",
]


@pytest.mark.parametrize("shared", ["root"], indirect=True)
def test_nonsense_is_refused(host: Host) -> None:
    for network in NONSENSE:
        ended = host.run("run", "--rm", "--network", network, IMAGE, "true")
        assert (ended.returncode, len(ended.stderr.splitlines())) == (125, 1)
