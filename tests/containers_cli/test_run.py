"""`run`: statuses, streams, flags, and what stays afterwards."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time

import pytest

from tests.containers_cli.conftest import IMAGE, Host, wait_for

pytestmark = [pytest.mark.fuse, pytest.mark.userns, pytest.mark.root, pytest.mark.timeout(90)]


def test_output_and_status_are_the_programs(host: Host) -> None:
    ended = host.run("run", "--rm", "--network", "none", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (ended.stdout, ended.stderr, ended.returncode) == ("out\n", "err\n", 7)
    assert host("ps", "-aq") == ""


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--nosuch",), 125),
        (("-v", "relative/path:/x", IMAGE), 125),
        (("--ulimit", "nofile=9:1", IMAGE, "true"), 125),
        (("--restart", "always", "--rm", IMAGE, "true"), 125),
        (("--network", "nosuch", IMAGE, "true"), 125),
        (("--pull", "never", "nosuch:image"), 125),
        ((IMAGE, "/etc/passwd"), 126),
        ((IMAGE, "nosuch"), 127),
        ((IMAGE, "sh", "-c", "sh -c 'kill -9 $$'; exit $?"), 137),
    ],
)
def test_statuses(host: Host, words: tuple[str, ...], status: int) -> None:
    ended = host.run("run", *words)
    assert ended.returncode == status
    assert "Traceback" not in ended.stderr
    assert ended.stderr or status == 137  # a shell may say that its child was killed


def test_what_cannot_begin_says_why_and_is_not_tried_again(host: Host) -> None:
    ended = host.run("run", "-d", "--name", "never", "--restart", "always", IMAGE, "nosuch")
    assert (ended.returncode, ended.stdout) == (127, "")
    assert host.state("never") == "created 127"
    assert "exec nosuch" in host("inspect", "-f", "{{.State.Error}}", "never")
    assert not host.processes()


def test_much_goes_in_and_comes_out(host: Host) -> None:
    text = "0123456789abcde\n" * 100_000
    ended = host.run("run", "-i", "--rm", IMAGE, "cat", stdin=text)
    assert ended.stdout == text


def test_environment_user_directory_and_name(host: Host) -> None:
    (host.top / "env").write_text("# a comment\nTWO=2\nTHREE=3 three\n")
    script = "echo $ONE $TWO $THREE $PWD $(hostname); cat /etc/hosts"
    out = host(
        "run", "--rm", "-e", "ONE=1", "--env-file", str(host.top / "env"), "-w", "/srv/new", "--hostname",
        "inside", "--add-host", "other:10.1.2.3", IMAGE, "sh", "-c", script,
    )  # fmt: skip
    assert out.splitlines()[0] == "1 2 3 three /srv/new inside"
    assert "10.1.2.3\tother" in out


def test_user_of_the_image(host: Host) -> None:
    if not host.subordinate:
        assert host("run", "--rm", IMAGE, "id", "-u") == "0\n"
        # nobody else is there to be: root is played (decision 0016)
        assert host("run", "--rm", "-u", "user", IMAGE, "sh", "-c", "id -u; echo $HOME") == "0\n/home\n"
        # but who asks to be nobody much has no rights, and gets none by running programs
        probe = "grep -h -E 'Cap(Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | sort -u"
        assert host("run", "--rm", "-u", "user", IMAGE, "sh", "-c", probe) == f"{0:016x}\n"
        assert host("run", "--rm", IMAGE, "sh", "-c", probe) != f"{0:016x}\n"
        assert host.run("run", "--rm", "-u", "nobody-known", IMAGE, "true").returncode == 125
        return
    assert host("run", "--rm", "-u", "user", IMAGE, "id").startswith("uid=1000(user) gid=1000(user)")
    assert "50(staff)" in host("run", "--rm", "-u", "user", IMAGE, "id")


def test_read_only_tmpfs_and_binds(host: Host) -> None:
    (host.top / "shown").mkdir(exist_ok=True)
    (host.top / "shown/file").write_text("from the host\n")
    script = "cat /shown/file; touch /shown/x || echo ro; touch /x || echo root; touch /t/x && echo tmp"
    out = host(
        "run", "--rm", "--read-only", "-v", f"{host.top}/shown:/shown:ro", "--tmpfs", "/t", IMAGE, "sh", "-c",
        script,
    )  # fmt: skip
    assert out.splitlines() == ["from the host", "ro", "root", "tmp"]


def test_proc_is_nobodys_to_mount_on(host: Host) -> None:
    (host.top / "over").mkdir(exist_ok=True)
    (host.top / "uptime").write_text("1.00 1.00\n")
    for words in (
        ("-v", f"{host.top}/over:/proc"),
        ("-v", f"{host.top}/over:/proc/acpi"),
        ("--tmpfs", "/proc/sys"),
    ):
        for network in ("none", "host"):
            ended = host.run("run", "--rm", "--network", network, *words, IMAGE, "true")
            assert ended.returncode == 125
            assert "cannot be mounted because it is inside /proc" in ended.stderr
    # what lxcfs does
    mount = f"{host.top}/uptime:/proc/uptime"
    assert host("run", "--rm", "-v", mount, IMAGE, "cat", "/proc/uptime") == "1.00 1.00\n"


def test_capabilities(host: Host) -> None:
    script = "grep CapEff /proc/self/status"
    none = host("run", "--rm", "--cap-drop", "ALL", IMAGE, "sh", "-c", script)
    one = host("run", "--rm", "--cap-drop", "ALL", "--cap-add", "CHOWN", IMAGE, "sh", "-c", script)
    assert (int(none.split()[1], 16), int(one.split()[1], 16)) == (0, 1)


def test_network_none(host: Host) -> None:
    assert (
        host("run", "--rm", "--network", "none", IMAGE, "sh", "-c", "tail -n +3 /proc/net/dev | wc -l")
        == "1\n"
    )


def test_detached_removes_itself(host: Host) -> None:
    identity = host("run", "-d", "--rm", "--name", "short", IMAGE, "sleep", "4").strip()
    assert len(identity) == 64
    assert host.state("short") == "running 0"
    wait_for(lambda: host("ps", "-aq") == "", 30)


def test_cidfile_and_taken_names(host: Host) -> None:
    path = host.top / f"cid-{time.monotonic_ns()}"
    host("create", "--name", "taken", "--cidfile", str(path), IMAGE)
    assert host("inspect", "-f", "{{.Id}}", "taken").strip() == path.read_text()
    ended = host.run("run", "--name", "taken", IMAGE, "true")
    assert ended.returncode == 125
    assert "already in use" in ended.stderr
    assert host.run("run", "--cidfile", str(path), IMAGE, "true").returncode == 125


def test_terminal(host: Host) -> None:
    master, slave = pty.openpty()
    script = "echo ready; read line; echo got $line; tty"
    command = host.command("run", "--rm", "-it", IMAGE, "sh", "-c", script)
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    got, deadline, asked = b"", time.monotonic() + 30, False
    while time.monotonic() < deadline and b"/dev/pts/" not in got:
        if select.select([master], [], [], 0.2)[0]:
            got += os.read(master, 4096)
        if b"ready" in got and not asked:
            os.write(master, b"word\r")
            asked = True
    status = process.wait(timeout=20)
    os.close(master)
    assert (b"got word" in got, status) == (True, 0)


def test_init_forwards_signals(host: Host) -> None:
    host("run", "-d", "--init", "--name", "withinit", IMAGE, "sleep", "100")
    begin = time.monotonic()
    host("stop", "withinit")
    assert time.monotonic() - begin < 8  # without init a process 1 that has no handler stays until SIGKILL
    assert host.state("withinit") == "exited 143"


def test_signals_of_the_command_are_the_containers(host: Host) -> None:
    process = host.start(
        "run",
        "--name",
        "proxied",
        IMAGE,
        "sh",
        "-c",
        "trap 'exit 9' TERM; echo up; while :; do sleep 0.1; done",
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(15)
    assert process.wait(timeout=20) == 9
    process.communicate()


def test_the_mask_of_new_files_is_nobodys_who_starts_it(host: Host) -> None:
    script = "umask; touch /new; stat -c %a /new"
    words = host.command("run", "--rm", "-v", "/scratch", IMAGE, "sh", "-c", script)
    before = os.umask(0o077)
    try:
        ended = subprocess.run(words, capture_output=True, text=True, timeout=40, check=True)
    finally:
        os.umask(before)
    assert ended.stdout == "0022\n644\n"


def test_only_streams_that_are_attached_are_shown(host: Host) -> None:
    script = "echo out; echo err >&2; cat"
    for words, seen in (
        (("-a", "stdout"), ("out\n", "")),
        (("-a", "STDERR"), ("", "err\n")),
        (("-i", "-a", "stdin", "-a", "stdout"), ("out\nin\n", "")),
    ):
        ended = host.run("run", "--rm", "--network", "none", *words, IMAGE, "sh", "-c", script, stdin="in\n")
        assert (ended.stdout, ended.stderr) == seen
    assert host.run("run", "--rm", "-a", "nosuch", IMAGE, "true").returncode == 125


def test_the_host_name_is_in_the_environment(host: Host) -> None:
    script = "test $HOSTNAME = $(hostname) && echo $HOSTNAME"
    assert host("run", "--rm", "-h", "box", IMAGE, "sh", "-c", script) == "box\n"
    for words in ((), ("--uts", "host")):
        assert host("run", "--rm", *words, IMAGE, "sh", "-c", script) != "\n"
