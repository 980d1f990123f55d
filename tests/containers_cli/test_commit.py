"""`commit` of what runs: one moment of it, paused or not, and what of the container the image keeps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lamina_runtime.container import attaching

from tests.containers_cli.conftest import IMAGE, Host, make_host, wait_for

pytestmark = [pytest.mark.fuse, pytest.mark.userns, pytest.mark.root, pytest.mark.timeout(120)]
# each round is written to one file after the other: at any moment they differ by one round at most
WRITER = """
n=0
while :; do
    n=$((n + 1))
    for name in a b c d e f g h; do echo $n > /d/.new; mv /d/.new /d/$name; done
done
"""


@pytest.fixture(scope="module", params=["root", "user"])
def shared(request: pytest.FixtureRequest) -> Iterator[Host]:
    made = make_host(request.param)
    yield made
    shutil.rmtree(made.top, ignore_errors=True)


@pytest.mark.parametrize("flag", ["--pause", "--no-pause"])
def test_it_is_one_moment(host: Host, flag: str) -> None:
    host("run", "-d", "--name", "writes", IMAGE, "sh", "-c", f"mkdir /d; {WRITER}")
    wait_for(lambda: host.run("exec", "writes", "cat", "/d/h").stdout.strip(), 30)
    for number in range(2):
        host("commit", flag, "writes", f"moment:{number}")
        assert host.state("writes") == "running 0"
        found = host("run", "--rm", f"moment:{number}", "cat", *(f"/d/{name}" for name in "abcdefgh"))
        rounds = [int(line) for line in found.splitlines()]
        assert rounds == sorted(rounds, reverse=True)
        assert rounds[0] - rounds[-1] <= 1
    before = int(host("exec", "writes", "cat", "/d/h"))
    wait_for(lambda: int(host("exec", "writes", "cat", "/d/h")) > before, 30)


def _driver_state(host: Host, identity: str) -> str:
    pid = (host.top / "root/containers" / identity / "driver").read_text().split()[0]
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_commit_that_is_killed_leaves_nobody_held(host: Host) -> None:
    identity = host("run", "-d", "--name", "held", IMAGE, "sleep", "100").strip()
    place = Path(host("inspect", "-f", "{{.HostsPath}}", "held").strip()).parent
    with attaching.connected(place) as one, attaching.connected(place) as two:
        for client in (one, two):
            client.send(b"h")
        wait_for(lambda: _driver_state(host, identity) == "T")
        one.close()
        assert host.state("held") == "running 0"
        assert _driver_state(host, identity) == "T"
    wait_for(lambda: _driver_state(host, identity) != "T")
    assert host("exec", "held", "cat", "/etc/passwd") != ""
    with attaching.connected(place) as client:
        client.send(b"h")
        wait_for(lambda: _driver_state(host, identity) == "T")
        host("rm", "-f", "held")


def test_the_image_keeps_what_the_container_was_run_with(host: Host) -> None:
    flags = "--stop-signal SIGINT --stop-timeout 7 --health-cmd true --health-retries 9 --label one=1".split()
    flags += "--expose 80 -w /etc -u 0 -e NEW=new".split()
    host("create", "--name", "made", *flags, IMAGE, "sleep", "5")
    changes = [
        'ENTRYPOINT ["echo"]', "CMD hello", "EXPOSE 53/udp", "VOLUME /v", "ONBUILD RUN true", "LABEL two=2",
        "ENV OTHER=o", "WORKDIR sub", "USER 1000", "STOPSIGNAL 12", "HEALTHCHECK --retries=2 CMD false",
    ]  # fmt: skip
    host("commit", "-a", "Somebody <s@example.org>", "-m", "the reason", "made", "plain")
    words = [word for change in changes for word in ("-c", change)]
    host("commit", "-p", *words, "made", "changed")
    found = json.loads(host("inspect", "plain"))[0]
    config = found["Config"]
    assert (found["Author"], found["Comment"]) == ("Somebody <s@example.org>", "the reason")
    assert (config["StopSignal"], config["StopTimeout"], config["User"]) == ("SIGINT", 7, "0")
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Retries": 9}
    assert (config["Labels"], config["ExposedPorts"]) == ({"one": "1"}, {"80/tcp": {}})
    assert (config["Cmd"], config["WorkingDir"]) == (["sleep", "5"], "/etc")
    assert "NEW=new" in config["Env"]
    config = json.loads(host("inspect", "changed"))[0]["Config"]
    assert (config["Entrypoint"], config["Cmd"]) == (["echo"], ["/bin/sh", "-c", "hello"])
    assert set(config["ExposedPorts"]) == {"80/tcp", "53/udp"}
    assert (set(config["Volumes"]), config["OnBuild"]) == ({"/v"}, ["RUN true"])
    assert config["Labels"] == {"one": "1", "two": "2"}
    assert (config["WorkingDir"], config["User"], config["StopSignal"]) == ("/etc/sub", "1000", "12")
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "false"], "Retries": 2}
    for change in ("FROM x", "RUN true", "COPY a b", "CMD", "EXPOSE x", "STOPSIGNAL NOPE"):
        refused = host.run("commit", "-c", change, "made")
        assert (refused.returncode, refused.stderr.startswith("error: --change: ")) == (1, True)
