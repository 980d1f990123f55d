"""The launcher: namespaces, mounts, streams, ids and what must not be a way out."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lamina_runtime.container import plan
from lamina_runtime.container.records import Op, Record
from lamina_runtime.store import files

from tests.container import box

pytestmark = [pytest.mark.userns, pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return box.make_root(tmp_path_factory.mktemp("root") / "root")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def shell(root: Path, script: str, **process: object) -> dict[str, Any]:
    return box.spec(root, "sh", "-c", script, **process)


def wait_for(condition: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_program_is_process_1_and_root_of_its_own_names(root: Path) -> None:
    result = box.run(shell(root, "echo $$; id -u; id -g; hostname; ls /"))
    assert result.out.split() == ["1", "0", "0", "box", "bin", "dev", "etc", "proc"]
    assert result.status == 0


def test_sees_no_process_and_no_network_of_the_host(root: Path) -> None:
    result = box.run(shell(root, 'seen=$(ps); echo "$seen" | wc -l; wc -l < /proc/net/dev'))
    assert [int(word) for word in result.out.split()] == [3, 3]  # heading, sh, ps; headings and lo


def test_status_is_the_programs(root: Path) -> None:
    assert box.run(shell(root, "exit 7")).status == 7


def test_status_of_a_killed_program(root: Path) -> None:
    assert box.run(shell(root, "sh -c 'kill -9 $$'; exit $?")).status == 137


@pytest.mark.parametrize(
    ("program", "status"), [("nosuch", 127), ("/nosuch/file", 127), ("/etc/passwd", 126), ("/proc", 126)]
)
def test_programs_that_cannot_be_run(root: Path, program: str, status: int) -> None:
    result = box.run(box.spec(root, program))
    assert result.report.startswith(f"refused {status} exec {program}: ")
    assert result.status == status


def test_failures_of_ours_are_125_and_name_the_cause(root: Path) -> None:
    config = shell(root, "true")
    config["mounts"].append({"destination": "/x", "source": "/nosuch", "options": ["bind"]})
    assert box.run(config).report == "refused 125 bind mount of /nosuch: No such file or directory"


def test_masked_and_read_only_paths(root: Path) -> None:
    script = (
        "ls /proc/acpi | wc -l; cat /proc/keys | wc -c; echo 1 > /proc/sys/kernel/domainname || echo refused"
    )
    out = box.run(shell(root, script)).out.split()
    assert out[-1] == "refused"
    assert out[:-1] == ["0", "0"]


def test_read_only_root(root: Path) -> None:
    config = shell(root, "touch /new || echo refused; touch /dev/shm 2>&1 && echo devices")
    config["root"]["readonly"] = True
    assert box.run(config).out.split() == ["refused", "devices"]
    assert not (root / "new").exists()


def test_working_directory_is_made(root: Path) -> None:
    assert box.run(shell(root, "pwd", cwd="/srv/deep/er")).out == "/srv/deep/er\n"


def test_capabilities_and_no_new_privileges(root: Path) -> None:
    out = box.run(shell(root, "cat /proc/self/status")).out
    fields = dict(line.split(":\t", 1) for line in out.splitlines() if ":\t" in line)
    assert int(fields["CapBnd"], 16) == int(fields["CapEff"], 16) == 0b11100011
    assert fields["NoNewPrivs"] == "1"


def test_limits(root: Path) -> None:
    limits = [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 99}]
    assert box.run(shell(root, "ulimit -n; ulimit -Hn", rlimits=limits)).out.split() == ["77", "99"]


def test_log_has_lines_streams_and_what_is_no_text(root: Path, directory: Path) -> None:
    running = box.keep(shell(root, r"echo one; echo two >&2; printf 'no\xffend\042\t'"), directory)
    assert running.end().status == 0
    rows = [json.loads(line) for line in (directory / "log").read_text().splitlines()]
    assert {(row["stream"], row["log"]) for row in rows} == {
        ("stdout", "one\n"),
        ("stderr", "two\n"),
        ("stdout", 'no�end"\t'),
    }
    assert (directory / "exit").read_text() == "0\n"


def test_long_lines_are_split_in_the_log(root: Path, directory: Path) -> None:
    box.keep(shell(root, "dd if=/dev/zero bs=1000 count=50 2>/dev/null; echo end"), directory).end()
    rows = [json.loads(line)["log"] for line in (directory / "log").read_text().splitlines()]
    assert "".join(rows) == "\0" * 50000 + "end\n"
    assert max(map(len, rows)) == 16384


def test_pid_file_tells_one_process_from_another(root: Path, directory: Path) -> None:
    running = box.keep(shell(root, "sleep 30"), directory)
    wait_for((directory / "pid").exists)
    words = (directory / "pid").read_text().split()
    pid, start = map(int, words[:2])
    assert words[2] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    stat = Path(f"/proc/{pid}/stat").read_text()
    assert pid == running.pid
    assert start == int(stat.rsplit(")", 1)[1].split()[19])
    os.kill(pid, 9)
    assert running.end().status == 137


@pytest.mark.parametrize("extra", [(), (Record(Op.REAP),)])
def test_directory_is_locked_while_the_monitor_lives(root: Path, directory: Path, extra: Any) -> None:
    running = box.keep(shell(root, "sleep 30"), directory, *extra)
    fd = os.open(directory, os.O_RDONLY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    second = box.keep(shell(root, "true"), directory)
    assert second.report.startswith(f"refused 125 {directory}: ")
    second.end()
    monitor = int(Path(f"/proc/{running.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(monitor, 9)
    os.close(fd)
    wait_for(lambda: not files.is_held(directory))
    assert not (directory / "exit").exists()
    os.kill(running.pid, 9)
    running.end()


@pytest.fixture
def attached(root: Path, directory: Path) -> Iterator[Any]:
    sockets = []

    def attach(*extra: Record, script: str = "cat", **process: object) -> tuple[Any, socket.socket]:
        running = box.keep(shell(root, script, **process), directory, *extra)
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.connect(str(directory / "attach"))
        client.settimeout(10)
        sockets.append(client)
        return running, client

    yield attach
    for client in sockets:
        client.close()


def collect(client: socket.socket) -> dict[str, bytes]:
    """Read packets to the end; what came, by kind."""
    got: dict[str, bytes] = {}
    while packet := client.recv(65536):
        kind = chr(packet[0])
        got[kind] = got.get(kind, b"") + packet[1:]
    return got


def test_attached_input_and_output(attached: Any) -> None:
    running, client = attached(Record(Op.STDIN))
    client.send(b"ihello\n")
    client.send(b"c")
    assert collect(client) == {"o": b"hello\n", "x": b"0"}
    assert running.end().status == 0


def test_much_input_and_output_at_once(attached: Any) -> None:
    """Neither side may wait for the other while both pipes are full."""
    running, client = attached(Record(Op.STDIN))
    data = os.urandom(1 << 20) * 8

    def send() -> None:
        for at in range(0, len(data), 30000):
            client.send(b"i" + data[at : at + 30000])
        client.send(b"c")

    thread = threading.Thread(target=send)
    thread.start()
    time.sleep(0.2)  # both directions fill up before anything is read
    got = collect(client)
    thread.join()
    assert got["o"] == data
    assert running.end().status == 0


def test_who_does_not_read_does_not_hide_the_end(attached: Any, directory: Path) -> None:
    running, _ = attached(script="dd if=/dev/zero bs=1M count=3 2>/dev/null & sleep 1; exit 9")
    assert running.end().status == 9
    assert (directory / "exit").read_text() == "9\n"


def test_terminal(attached: Any) -> None:
    size = {"height": 31, "width": 91}
    running, client = attached(script="read go; tty; stty size; cat", terminal=True, consoleSize=size)
    client.send(b"igo\n")
    got = b""
    while b"31 91" not in got:
        got += client.recv(65536)[1:]
    assert b"/dev/pts/0" in got
    client.send(b"w40 100")
    client.send(b"iabc\n")
    client.send(b"i\x04")
    rest = collect(client)
    assert rest["o"].count(b"abc") >= 1
    assert running.end().status == 0


def test_init_reaps_and_passes_signals_on(root: Path, directory: Path) -> None:
    script = "sh -c 'sleep 0.1 & exit' ; trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done"
    running = box.keep(shell(root, script), directory, Record(Op.REAP))
    wait_for(lambda: "up" in (directory / "log").read_text())
    wait_for(lambda: not any("Z" in line for line in _children(running.pid)))
    os.kill(running.pid, 15)
    assert running.end().status == 5


def _children(pid: int) -> list[str]:
    out = subprocess.run(
        ["ps", "--ppid", str(pid), "-o", "stat="], capture_output=True, text=True, check=False
    )
    return out.stdout.split()


def test_another_process_joins(root: Path, directory: Path) -> None:
    running = box.keep(shell(root, "sleep 30"), directory)
    kinds = ("user", "mount", "pid", "ipc", "uts", "network")
    config = box.spec(root, "sh", "-c", "hostname; cat /proc/1/comm; id -u")
    rows = [
        plan.joined(running.pid, kinds),
        *plan.process(config["process"], linux=config["linux"]),
        Record(Op.STDIO),
    ]
    result = box.Running(rows).end()
    assert result.out.split() == ["box", "sleep", "0"]
    os.kill(running.pid, 9)
    running.end()


def test_nothing_of_ours_stays(root: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = f"LAMINA_TEST={directory}"
    monkeypatch.setenv(*mark.split("="))
    kept = box.keep(shell(root, "sleep 300 & exit 0"), directory)
    assert _marked(mark)
    assert kept.end().status == 0
    wait_for(lambda: not _marked(mark))


def _marked(mark: str) -> list[int]:
    """Return the processes, but for ourselves, with a setting in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


# ---- ways out that are none ----


def test_links_of_the_image_lead_nowhere_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "proc").mkdir(parents=True)
    root = box.make_root(tmp_path / "root")
    (root / "srv").symlink_to(f"{outside}/../outside")
    config = shell(root, "true")
    config["mounts"].append({"destination": "/srv/data", "type": "tmpfs", "options": []})
    box.run(config)
    assert [path.name for path in outside.iterdir()] == ["proc"]
    assert not list((outside / "proc").iterdir())


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
def test_a_link_is_no_place_for_what_programs_trust(tmp_path: Path, name: str) -> None:
    """CVE-2019-19921: masks would be made where the link led while they were made."""
    root = box.make_root(tmp_path / "root")
    (root / "elsewhere").mkdir()
    (root / name).symlink_to("elsewhere")
    config = shell(root, "echo ran")
    config["mounts"].append({"destination": "/sys", "type": "tmpfs", "options": []})
    result = box.run(config)
    assert result.report.startswith(f"refused 125 the image's /{name} is no directory")
    assert not list((root / "elsewhere").iterdir())


def test_a_link_into_proc_takes_no_mount(tmp_path: Path) -> None:
    root = box.make_root(tmp_path / "root")
    (root / "way").symlink_to("proc/sys")
    config = shell(root, "echo ran")
    config["mounts"].append({"destination": "/way", "type": "tmpfs", "options": []})
    result = box.run(config)
    assert result.report == "refused 125 /way cannot be mounted because it is inside /proc"


def test_our_program_cannot_be_overwritten_from_inside(root: Path, directory: Path) -> None:
    """CVE-2019-5736: /proc/PID/exe of a process of the runtime."""
    script = "cat /proc/1/exe >/dev/null && echo read; echo x >> /proc/1/exe || echo refused"
    result = box.run(shell(root, script), Record(Op.REAP))
    assert result.out.split()[-1] == "refused"


def test_no_descriptor_of_ours_is_left_open(root: Path) -> None:
    """CVE-2024-21626: a descriptor of the host's tree as a working directory."""
    out = box.run(shell(root, "ls /proc/self/fd")).out.split()
    assert out == ["0", "1", "2", "3"]  # 3 is ls's own


def test_working_directory_through_a_descriptor_is_inside(root: Path) -> None:
    for number in range(3, 12):
        result = box.run(shell(root, "pwd; ls -d ../../../etc/passwd", cwd=f"/proc/self/fd/{number}"))
        assert result.report.startswith("refused"), number


def test_host_terminal_multiplexer_is_checked(tmp_path: Path, directory: Path) -> None:
    """A file of the image in the place of /dev/pts/ptmx is not taken for one."""
    root = box.make_root(tmp_path / "root")
    config = shell(root, "true", terminal=True)
    config["mounts"] = [row for row in config["mounts"] if not row["destination"].startswith("/dev/pts")]
    (tmp_path / "fake").write_text("")
    config["mounts"].append(
        {"destination": "/dev/pts/ptmx", "source": str(tmp_path / "fake"), "options": ["bind"]}
    )
    running = box.keep(config, directory)
    assert running.report == "refused 125 /dev/pts/ptmx of the container is no terminal multiplexer"
    running.end()


def test_usage_without_a_plan() -> None:
    from lamina_runtime.container import launch

    ended = subprocess.run([launch.program()], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (125, "lamina-launch is started by lamina, with a plan\n")


# ---- users ----

PASSWD = (
    "root:x:0:0::/root:/bin/sh\nann:x:77:88::/home/ann:/bin/sh\n"
    + "x" * 70000
    + ":x:5:5::/:\nbob:x:78:88:::\n"
)
GROUP = "root:x:0:\nstaff:x:50:bob,ann\nann:x:88:\nvideo:x:44:ann\n"


@pytest.fixture(scope="module")
def peopled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = box.make_root(tmp_path_factory.mktemp("peopled") / "root")
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/group").write_text(GROUP)
    return root


def as_user(root: Path, user: str) -> box.Result:
    """Run as a user of the root's own files, with ids 0 to 999 of ours."""
    config = shell(
        root, "id -u; id -g; grep Groups /proc/self/status; echo $HOME; grep CapEff /proc/self/status"
    )
    config["linux"]["uidMappings"][0]["size"] = config["linux"]["gidMappings"][0]["size"] = 1000
    config["process"]["env"] = ["PATH=/bin"]
    rows = [row for row in plan.container(config) if row.op is not Op.IDS]
    return box.Running([*rows, Record(Op.USER, user), Record(Op.STDIO)]).end()


@pytest.mark.root
@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", "0 0 Groups: 0 /root".split()),
        ("ann", "77 88 Groups: 44 50 /home/ann".split()),
        ("77", "77 88 Groups: 44 50 /home/ann".split()),
        ("bob:video", "78 44 Groups: /".split()),
        ("ann:7", "77 7 Groups: /home/ann".split()),
        ("500", "500 0 Groups: /".split()),
    ],
)
def test_users_are_those_of_the_root(peopled: Path, user: str, expected: list[str]) -> None:
    words = as_user(peopled, user).out.split()
    assert words[:3] == expected[:3]
    assert set(words[3:-3]) - {"0"} == set(expected[3:-1]) - {"0"}
    assert words[-3] == expected[-1]
    assert (int(words[-1], 16) != 0) == (words[0] == "0")


@pytest.mark.root
@pytest.mark.parametrize("user", ["nobody", "ann:nogroup", "4294967295", "99999999999999999999", "a" * 5000])
def test_users_that_are_not_there(peopled: Path, user: str) -> None:
    assert as_user(peopled, user).report.startswith("refused 125 ")
