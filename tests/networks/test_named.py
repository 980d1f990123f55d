"""Named networks: containers that find each other by name, networks that come and go."""

from __future__ import annotations

import ipaddress
import json
import os
import signal
from pathlib import Path

import pytest

from tests.containers_cli.conftest import IMAGE
from tests.networks.conftest import Host, connected, wait_for

pytestmark = [pytest.mark.fuse, pytest.mark.userns, pytest.mark.root, pytest.mark.timeout(90)]
SERVER = "while :; do nc -l -p 80 -e cat; done"
# the server takes one after the other, and is away for a moment in between
ASK = "n=0; until echo question | nc -w 5 {} 80 | grep . || [ $n = 99 ]; do n=$((n + 1)); sleep 0.1; done"


def keepers(host: Host) -> list[int]:
    """Return the keepers of this store's networks."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"keep.py" in words and f"{host.top}/".encode() in words:
                found.append(int(entry.name))
    return found


@pytest.fixture(autouse=True)
def nothing_stays(host: Host) -> object:
    """Networks are removed after a test, and their keepers end by themselves."""
    yield
    left = host("ps", "-aq").split()
    if left:
        host("rm", "-f", *left)
    host("network", "prune", "-f")
    wait_for(lambda: not keepers(host), 20)


def test_containers_reach_each_other_by_name_and_alias(host: Host) -> None:
    identity = host("network", "create", "--label", "x=1", "front").strip()
    host("run", "-d", "--name", "web", "--network", "front", "--network-alias", "www", "-p", "127.0.0.1:0:80",
         IMAGE, "sh", "-c", SERVER)  # fmt: skip
    with connected(int(host("port", "web", "80").rpartition(":")[2])):
        pass
    script = f"{ASK.format('web')}; {ASK.format('www')}; cat /etc/hosts"
    out = host("run", "--rm", "--name", "guest", "--network", "front", IMAGE, "sh", "-c", script)
    assert out.splitlines()[:2] == ["question", "question"]
    assert "guest" in out.split("# network front\n")[1]
    # who has gone is no longer named, who is there is shown
    assert "guest" not in host("exec", "web", "cat", "/etc/hosts")
    found = json.loads(host("network", "inspect", identity[:8]))[0]
    assert found["IPAM"]["Config"][0]["Subnet"].startswith("10.89.")
    assert [row["Name"] for row in found["Containers"].values()] == ["web"]
    assert host("ps", "--filter", "network=front", "--format", "{{.Names}} {{.Networks}}") == "web front\n"
    ended = host.run("network", "rm", "front")
    assert (ended.returncode, "active endpoints" in ended.stderr) == (1, True)
    # others, on another network or on none, do not get there
    host("network", "create", "--internal", "back")
    address = next(iter(found["Containers"].values()))["IPv4Address"].partition("/")[0]
    for network in ("back", "none"):
        words = ["run", "--rm", "--network", network, IMAGE, "nc", "-w", "2", address, "80"]
        assert host.run(*words).returncode == 1
    assert host("network", "ls", "-q", "--filter", "label=x").strip() == identity[:12]


@pytest.mark.parametrize("shared", ["root", "user"], indirect=True)
def test_a_running_container_comes_and_goes(host: Host) -> None:
    for name in ("one", "two"):
        host("network", "create", name)
    host("run", "-d", "--name", "web", "--network", "one", IMAGE, "sh", "-c", SERVER)
    host("network", "connect", "--alias", "other", "two", "web")
    assert host("run", "--rm", "--network", "two", IMAGE, "sh", "-c", ASK.format("other")) == "question\n"
    assert host.run("network", "connect", "two", "web").returncode == 1
    seen = json.loads(host("inspect", "-f", "{{json .NetworkSettings.Networks}}", "web"))
    shown = host("exec", "web", "ip", "-4", "-o", "addr")
    assert [f"{seen[name]['IPAddress']}/24" in shown for name in ("one", "two")] == [True, True]
    assert seen["two"]["Aliases"] == ["other"]
    host("network", "disconnect", "one", "web")
    assert "eth0" not in host("exec", "web", "ip", "addr")
    # the way out, and who answers for names, are the other network's now
    subnet = host("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "two").strip()
    gateway, resolver = (str(ipaddress.IPv4Network(subnet)[number]) for number in (2, 3))
    assert f"default via {gateway} dev eth1" in host("exec", "web", "ip", "route")
    assert f"nameserver {resolver}\n" in host("exec", "web", "cat", "/etc/resolv.conf")
    host("network", "connect", "one", "web")
    assert "eth0" in host("exec", "web", "ip", "addr")
    host("network", "disconnect", "one", "web")
    assert host("network", "prune", "-f").splitlines() == ["Deleted Networks:", "one"]
    # what was said holds for the next start too
    host("kill", "web")
    host("start", "web")
    assert host("run", "--rm", "--network", "two", IMAGE, "sh", "-c", ASK.format("other")) == "question\n"
    assert f"default via {gateway} " in host("exec", "web", "ip", "route")
    addresses = host("network", "inspect", "-f", "{{json .Containers}}", "two")
    assert len(json.loads(addresses)) == 1


@pytest.mark.parametrize("shared", ["user"], indirect=True)
def test_wished_addresses_and_several_networks(host: Host) -> None:
    host("network", "create", "--subnet", "10.77.0.0/24", "fixed")
    host("network", "create", "plain")
    words = ["--network", "name=fixed,ip=10.77.0.9,alias=nine", "--network", "plain"]
    host("run", "-d", "--name", "web", *words, IMAGE, "sh", "-c", SERVER)
    out = host("exec", "web", "ip", "-4", "-o", "addr")
    assert "10.77.0.9/24" in out
    assert "eth1" in out
    assert host("run", "--rm", "--network", "fixed", IMAGE, "sh", "-c", ASK.format("nine")) == "question\n"
    assert host("run", "--rm", "--network", "plain", IMAGE, "sh", "-c", ASK.format("web")) == "question\n"
    ended = host.run("run", "--rm", "--network", "fixed", "--ip", "10.77.0.9", IMAGE, "true")
    assert (ended.returncode, "in use" in ended.stderr) == (125, True)
    ended = host.run("run", "--rm", "--network", "fixed", "--ip", "10.78.0.9", IMAGE, "true")
    assert (ended.returncode, ended.stderr.count("\n")) == (125, 1)


@pytest.mark.parametrize("shared", ["user"], indirect=True)
def test_a_keeper_that_is_killed_leaves_nothing_and_is_replaced(host: Host) -> None:
    host("network", "create", "one")
    host("run", "-d", "--name", "web", "--network", "one", IMAGE, "sleep", "1000")
    (keeper,) = keepers(host)
    parent = int(Path(f"/proc/{keeper}/stat").read_text().rpartition(")")[2].split()[1])
    family = [parent, *map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())]
    os.kill(keeper, signal.SIGKILL)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), 20)
    host("run", "--rm", "--network", "one", IMAGE, "ping", "-c", "1", "-W", "5", "127.0.0.1")
    host("rm", "-f", "web")


NONSENSE = [
    ("run", "--network", "nosuch", IMAGE, "true"),
    ("run", "--network", "one", "--network", "host", IMAGE, "true"),
    ("run", "--network-alias", "x", IMAGE, "true"),
    ("network", "create", "host"),
    ("network", "create", "a/b"),
    ("network", "create", "--subnet", "10.0.0.0/30", "small"),
    ("network", "create", "--subnet", "fd00::/64", "six"),
    ("network", "create", "--driver", "overlay", "x"),
    ("network", "rm", "bridge"),
    ("network", "inspect", "nosuch"),
]


@pytest.mark.parametrize("shared", ["root"], indirect=True)
def test_nonsense_is_refused(host: Host) -> None:
    for words in NONSENSE:
        ended = host.run(*words)
        assert ended.returncode == (125 if words[0] == "run" else ended.returncode or 1)
        assert ended.returncode
        assert "Traceback" not in ended.stderr
        assert "unexpected" not in ended.stderr
