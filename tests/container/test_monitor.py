"""The monitor: who is attached from the start, what comes after the end, and who it answers for."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lamina_runtime.container import launch, plan
from lamina_runtime.container.records import Op, Record

from tests.container import box
from tests.container.test_launch import shell, wait_for

pytestmark = [pytest.mark.userns, pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return box.make_root(tmp_path_factory.mktemp("root") / "root")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(20)
    with ours, theirs:
        yield ours, theirs


def start(rows: list[Record], directory: Path, client: socket.socket | None = None) -> launch.Started:
    kept = [Record(Op.DIRECTORY, str(directory)), Record(Op.LOG, str(directory / "log"))]
    return launch.start([*rows, *kept], client=client.fileno() if client else None)


def end(started: launch.Started) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(started.monitor, 0)[1])


def after(script: str) -> list[Record]:
    return [Record(Op.AFTER, word) for word in (sys.executable, "-c", script)]


def test_a_client_given_with_the_plan_misses_nothing(
    root: Path, directory: Path, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    started = start(
        list(plan.container(shell(root, "echo first; echo second >&2; exit 3"))), directory, theirs
    )
    theirs.close()
    packets: list[bytes] = []
    while packets[-1:] != [b"x3"]:
        packets.append(ours.recv(32768))
    assert b"".join(one[1:] for one in packets if one[:1] == b"o") == b"first\n"
    assert b"".join(one[1:] for one in packets if one[:1] == b"e") == b"second\n"
    assert end(started) == 3


@pytest.mark.parametrize("watched", [True, False])
def test_what_comes_after_is_left_to_who_watches(
    root: Path, directory: Path, pair: tuple[socket.socket, socket.socket], watched: bool
) -> None:
    ours, theirs = pair
    script = f"import os; open({str(directory / 'after')!r}, 'w').write(str(os.getpid()))"
    started = start([*plan.container(shell(root, "exit 2")), *after(script)], directory, theirs)
    theirs.close()
    if watched:
        while ours.recv(32768) != b"x2":
            pass
        ours.send(b"iwhatever was typed before")
        ours.send(b"k")
    else:
        ours.close()  # perhaps after it was told: it need not have read that
    status = end(started)
    assert (directory / "exit").read_text() == "2\n"
    assert (directory / "restarting").read_text().split()[0] == str(started.monitor)
    # the command is what the monitor became: the same process, with a status of its own
    assert status == (2 if watched else 0)
    assert (directory / "after").exists() is not watched
    if not watched:
        assert (directory / "after").read_text() == str(started.monitor)


def test_what_comes_after_does_not_come_where_nothing_began(root: Path, directory: Path) -> None:
    script = f"open({str(directory / 'after')!r}, 'w')"
    with pytest.raises(launch.LaunchError) as raised:
        start([*plan.container(box.spec(root, "nosuch")), *after(script)], directory)
    assert raised.value.status == 127
    assert sorted(path.name for path in directory.iterdir() if path.name in ("pid", "exit", "after")) == []


def test_the_lock_is_free_for_what_comes_after(root: Path, directory: Path) -> None:
    script = (
        "import fcntl, os; "
        f"fcntl.flock(os.open({str(directory)!r}, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB); "
        "print(sorted(os.listdir('/proc/self/fd')))"
    )
    started = start([*plan.container(shell(root, "true")), *after(script)], directory)
    assert end(started) == 0


def test_alone_everybody_is_the_one_and_keeps_his_home(tmp_path: Path, directory: Path) -> None:
    root = box.make_root(tmp_path / "root")
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nann:x:77:88::/home/ann:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nvideo:x:44:ann\n")
    config = shell(root, "id -u; id -g; echo $HOME")
    config["process"]["env"] = ["PATH=/bin"]
    config["annotations"] = {"io.lamina.user": "ann:video"}
    assert [row for row in plan.container(config) if row.op is Op.ALONE]
    assert end(start(list(plan.container(config)), directory)) == 0
    lines = (directory / "log").read_text().splitlines()
    assert [line.split('"')[3] for line in lines] == ["0\\n", "0\\n", "/home/ann\\n"]


def test_it_is_named_and_small(root: Path, directory: Path) -> None:
    started = start(list(plan.container(shell(root, "sleep 30"))), directory)
    assert Path(f"/proc/{started.monitor}/comm").read_text() == "lamina-monitor\n"
    rows = Path(f"/proc/{started.monitor}/smaps_rollup").read_text().splitlines()
    private = sum(int(row.split()[1]) for row in rows if row.startswith(("Private_Dirty:", "Private_Clean:")))
    assert private < 300  # KiB
    os.kill(started.pid, signal.SIGKILL)
    assert end(started) == 137


DRIVER = "import os, time; os.write(3, b'1'); time.sleep(60)"


def test_a_container_ends_with_its_driver(root: Path, directory: Path) -> None:
    driver = [Record(Op.DRIVER, word) for word in (sys.executable, "-c", DRIVER)]
    started = start([*plan.container(shell(root, "sleep 60")), *driver], directory)
    children = Path(f"/proc/{started.monitor}/task/{started.monitor}/children")
    (other,) = {int(word) for word in children.read_text().split()} - {started.pid}
    os.kill(other, signal.SIGKILL)
    assert end(started) == 137


def test_a_driver_that_fails_is_told(root: Path, directory: Path) -> None:
    driver = [Record(Op.DRIVER, word) for word in (shutil.which("false") or "", "-c")]
    with pytest.raises(launch.LaunchError, match="the driver could not mount the image"):
        start([*plan.container(shell(root, "true")), *driver], directory)


def test_who_joins_finds_the_process_that_was_meant(root: Path, directory: Path) -> None:
    started = start(list(plan.container(shell(root, "sleep 30"))), directory)
    config = box.spec(root, "true")
    right = plan.joined(started.pid, ("user", "mount"))
    began = int(right.arguments[2])
    wrong = Record(Op.JOIN, *right.arguments[:2], began + 1)
    rows = [*plan.process(config["process"], linux=config["linux"]), Record(Op.STDIO)]
    assert box.Running([right, *rows]).end().status == 0
    refused = box.Running([wrong, *rows]).end()
    assert refused.report == f"refused 125 the container's process {started.pid}: No such process"
    os.kill(started.pid, signal.SIGKILL)
    end(started)


def test_a_probe_gets_what_the_program_got(root: Path, directory: Path) -> None:
    probe = "hostname; id -u; echo $OWN; cat /proc/self/comm; pwd"
    config = shell(root, "sleep 60", env=["PATH=/bin", "OWN=1"], cwd="/etc")
    times = Record(Op.HEALTH, 20, 20000, 0, 20, 1)
    rows = [times, *(Record(Op.PROBE, word) for word in ("sh", "-c", probe))]
    started = start([*plan.container(config), *rows], directory)
    kept = directory / "health"
    wait_for(lambda: kept.exists() and "healthy" in kept.read_text(), 20)
    said = (directory / "health").read_text()
    assert '"Output":"box\\n0\\n1\\ncat\\n/etc\\n"' in said
    os.kill(started.pid, signal.SIGKILL)
    assert end(started) == 137
