"""What flags may reach of the host: its kernel's settings, its files, its network, and what is said of it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.containers_cli.conftest import IMAGE, Host

pytestmark = [pytest.mark.fuse, pytest.mark.userns, pytest.mark.root, pytest.mark.timeout(90)]
root = pytest.mark.parametrize("shared", ["root"], indirect=True)
user = pytest.mark.parametrize("shared", ["user"], indirect=True)


def refused(host: Host, *words: str, text: str) -> None:
    """Expect 125 and one line that says why."""
    ended = host.run("run", "--rm", *words, IMAGE, "true")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (125, 1), ended.stderr
    assert text in ended.stderr


@root
@pytest.mark.parametrize(
    ("flags", "name", "other"),
    [
        (("--network", "none"), "vm/swappiness", "61"),
        (("--network", "host"), "net/ipv4/ip_default_ttl", "65"),
        (("--network", "none", "--ipc", "host"), "kernel/msgmax", "8193"),
        (("--network", "none", "--uts", "host"), "kernel/domainname", "of.a.test"),
    ],
)
def test_the_hosts_parameters_stay(host: Host, flags: tuple[str, ...], name: str, other: str) -> None:
    path = Path("/proc/sys", name)
    before = path.read_text()
    try:
        refused(host, *flags, "--sysctl", f"{name.replace('/', '.')}={other}", text="sysctl")
        assert path.read_text() == before
    finally:
        if path.read_text() != before:
            path.write_text(before)


@root
def test_parameters_of_its_own_namespaces_are_set(host: Host) -> None:
    words = ["--network", "none", "--sysctl", "kernel.msgmax=8193", "--sysctl", "kernel.domainname=inside"]
    script = "cat /proc/sys/kernel/msgmax /proc/sys/kernel/domainname"
    assert host("run", "--rm", *words, IMAGE, "sh", "-c", script) == "8193\ninside\n"


@root
@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_another_runtime_is_not_asked_for_the_hosts_parameters(host: Host, runtime: str) -> None:
    if not shutil.which(runtime):
        pytest.skip(f"needs {runtime}")
    words = ["--network", "none", "--runtime", runtime]
    refused(host, *words, "--sysctl", "vm.swappiness=61", text="error: sysctl 'vm.swappiness'")
    refused(
        host, *words, "--ipc", "host", "--sysctl", "kernel.msgmax=8193", text="error: sysctl 'kernel.msgmax'"
    )


@root
def test_only_devices_are_devices(host: Host) -> None:
    (host.top / "secret").write_text("secret")
    (host.top / "devices/inner").mkdir(parents=True, exist_ok=True)
    (host.top / "empty").mkdir(exist_ok=True)
    (host.top / "devices/file").write_text("secret")
    for node in ("devices/one", "devices/inner/two"):
        if not (host.top / node).exists():
            os.mknod(host.top / node, 0o020666, os.makedev(1, 3))
    for path in (host.top / "secret", host.top / "empty", "/proc/self/root/nosuch", "/dev/stdin/x"):
        refused(host, "--network", "none", "--device", f"{path}:/dev/sh", text="gathering device information")
    found = host("run", "--rm", "--network", "none", "--device", f"{host.top}/devices:/dev/of",
                 IMAGE, "find", "/dev/of", "!", "-type", "d")  # fmt: skip
    assert sorted(found.split()) == ["/dev/of/inner/two", "/dev/of/one"]


def without_helpers(host: Host) -> list[str]:
    """Return a command line whose PATH has nothing."""
    return ["PATH=/nowhere" if word.startswith("PATH=") else word for word in host.command("run", "--rm")]


@root
def test_a_network_that_is_the_hosts_is_told(host: Host) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*without_helpers(host), *words, IMAGE, "readlink", "/proc/self/ns/net"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=40, check=False,
        )  # fmt: skip

    told, asked = run(), run("--network", "host")
    assert told.stderr == "lamina: no slirp4netns or pasta: the container shares the host's network\n"
    assert (told.returncode, told.stdout.strip()) == (0, os.readlink("/proc/self/ns/net"))
    assert (asked.stderr, asked.stdout) == ("", told.stdout)


@user
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_descriptors_that_are_closed_change_nothing(host: Host, closed: tuple[int, ...]) -> None:
    words = host.command(
        "run", "--rm", "--network", "none", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 7"
    )
    quoted = f"exec {shlex.join(words)}"
    redirected = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    ended = subprocess.run(["sh", "-c", f"{quoted} {redirected}"], input="", capture_output=True, text=True,
                           timeout=40, check=False)  # fmt: skip
    wanted = (7, "" if 1 in closed else "out\n", "" if 2 in closed else "err\n")
    assert (ended.returncode, ended.stdout, ended.stderr) == wanted


@root
def test_an_answer_that_nobody_can_take_is_an_error(host: Host) -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(host.command("ps"), stdout=full, stderr=subprocess.PIPE, text=True, timeout=40,
                               check=False)  # fmt: skip
    assert (ended.returncode, ended.stderr) == (1, "error: standard output: No space left on device\n")


@user
def test_a_file_of_an_id_that_cannot_be_written_leaves_no_container(host: Host) -> None:
    kept = host.top / "root/cidfile"
    for words, there in (
        (("--cidfile", "/proc/nosuch/file", IMAGE), False),
        (("--cidfile", str(kept), "nosuch:image"), False),
        (("--cidfile", str(kept), IMAGE, "true"), True),
        (("--cidfile", str(kept), IMAGE, "true"), True),
    ):
        was = kept.exists()
        ended = host.run("create", "--pull", "never", *words)
        assert (ended.returncode == 0) == (there and not was)
        assert len(ended.stderr.splitlines()) <= 1
        assert kept.exists() == there
        assert len(host("ps", "-aq").split()) == int(there)
    assert host("ps", "-aq", "--no-trunc").strip() == kept.read_text()


@user
def test_limits_and_values_are_checked_up_front(host: Host) -> None:
    for limit in ("-5", "-1", "0"):
        host("run", "--rm", "--network", "none", f"--pids-limit={limit}", IMAGE, "true")
    for words, text in (
        (("--cpuset-cpus", "9999"), "requested CPUs are not available: 9999"),
        (("--cpuset-cpus", "1-0"), "1-0"),
        (("--tmpfs", "/x:size=zz"), "size=zz"),
        (("--tmpfs", "/x:mode=17777777"), "mode=17777777"),
        (("--tmpfs", "/x:uid=4294967295"), "uid=4294967295"),
        (("--mount", "type=tmpfs,target=/x,tmpfs-size=zz"), "size=zz"),
        (("--add-host", "foo"), '"foo"'),
    ):
        refused(host, *words, text=text)
    shown = host("run", "--rm", "--network", "none", "--tmpfs", "/x:size=64k,mode=01700,uid=5", IMAGE,
                 "grep", " /x ", "/proc/mounts")  # fmt: skip
    assert "size=64k,mode=1700" in shown


@user
def test_an_image_whose_volume_is_everything_is_refused(host: Host) -> None:
    host("import", "-c", "VOLUME /", str(host.top / "box.tar"), "everything")
    ended = host.run("run", "--rm", "everything", "true")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (125, 1)
    assert "destination is /" in ended.stderr
    host("rmi", "everything")
