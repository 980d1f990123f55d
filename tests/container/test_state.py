"""Containers as files: names, finding, and the states that follow from who holds what."""

import fcntl
import itertools
import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest
from lamina_runtime.container import plan, state
from lamina_runtime.container.collection import Containers, DamagedError
from lamina_runtime.container.records import Op, Record
from lamina_runtime.container.state import ConflictError
from lamina_runtime.container.wishes import Wishes
from lamina_runtime.engine import executing
from lamina_runtime.errors import LaminaError, NotFoundError, UsageError
from lamina_runtime.oci.digest import Digest

from tests.container import box

pytestmark = pytest.mark.timeout(60)
IMAGE = Digest.of(b"")


@pytest.fixture
def containers(tmp_path: Path) -> Containers:
    return Containers(tmp_path / "data", tmp_path / "run")


def create(containers: Containers, name: str = "", created: str = "2026-01-01T00:00:00Z") -> state.Container:
    return containers.create(
        image=IMAGE, image_name="debian", created=created, wishes=Wishes(command=("true",)), name=name
    )


def test_found_by_name_id_and_beginning(containers: Containers) -> None:
    made = create(containers, "web")
    for text in ("web", "/web", made.id, made.id[:12], made.id[:1]):
        assert containers.find(text).record == made.record


@pytest.mark.parametrize("text", ["nosuch", "zz", "../../x", "", "f" * 64])
def test_what_is_not_there_is_not_found(containers: Containers, text: str) -> None:
    create(containers, "web")
    with pytest.raises(NotFoundError):
        containers.find(text)


def test_what_was_removed_meanwhile_is_not_found(containers: Containers) -> None:
    made = create(containers, "web")
    shutil.rmtree(made.data)
    with pytest.raises(NotFoundError, match=r"^no such container: web$"):
        made.note_stop()


@pytest.mark.parametrize("gone", [False, True])
def test_exec_says_what_happened_meanwhile(
    containers: Containers, monkeypatch: pytest.MonkeyPatch, *, gone: bool
) -> None:
    made = create(containers, "web")
    seen = [state.Status("exited"), state.Status("running", os.getpid())]
    monkeypatch.setattr(state.Container, "status", lambda _: seen.pop())
    if gone:
        shutil.rmtree(made.data)
    said = "no such container: web" if gone else "container web is not running"
    with pytest.raises(LaminaError, match=f"^{said}$"):
        executing.start(made, executing.Exec(("true",)), client=None)


def test_ambiguous_beginnings_are_refused(containers: Containers) -> None:
    for _ in range(17):
        create(containers)  # 16 digits: two begin alike
    first = sorted(one.id[0] for one in containers.list())
    twice = next(a for a, b in itertools.pairwise(first) if a == b)
    with pytest.raises(UsageError, match="more than one"):
        containers.find(twice)


@pytest.mark.parametrize("name", ["a", "-a", "a b", "a/b", ".a", "ä"])
def test_names_are_dockers(containers: Containers, name: str) -> None:
    with pytest.raises(UsageError, match="only"):
        create(containers, name)
    assert containers.list() == []


def test_a_name_is_taken_once(containers: Containers) -> None:
    create(containers, "web")
    with pytest.raises(ConflictError, match="already in use"):
        create(containers, "web")
    assert len(containers.list()) == 1


def test_renamed_and_removed(containers: Containers) -> None:
    made = create(containers, "web")
    containers.rename(made, "www")
    with pytest.raises(NotFoundError):
        containers.find("web")
    found = containers.find("www")
    assert found.record.name == "www"
    containers.forget(found)
    assert containers.list() == []
    assert create(containers, "www").record.name == "www"


def test_newest_first(containers: Containers) -> None:
    for year in (2025, 2027, 2026):
        create(containers, f"y{year}", f"{year}-01-01T00:00:00Z")
    assert [one.record.name for one in containers.list()] == ["y2027", "y2026", "y2025"]


def test_a_name_left_by_a_killed_command_is_free(containers: Containers, tmp_path: Path) -> None:
    (tmp_path / "data/names/web").symlink_to("0" * 64)
    assert create(containers, "web").record.name == "web"


def _racer(top: Path, results: "multiprocessing.Queue[str]") -> None:
    containers = Containers(top / "data", top / "run")
    for number in range(20):
        try:
            create(containers, f"name-{number}")
            results.put(f"name-{number}")
        except ConflictError:
            pass


def test_of_many_who_want_a_name_one_gets_it(tmp_path: Path) -> None:
    results: multiprocessing.Queue[str] = multiprocessing.Queue()
    racers = [multiprocessing.Process(target=_racer, args=(tmp_path, results)) for _ in range(4)]
    for racer in racers:
        racer.start()
    won = [results.get(timeout=20) for _ in range(20)]
    for racer in racers:
        racer.join()
    assert sorted(won) == sorted({f"name-{number}" for number in range(20)})
    found = Containers(tmp_path / "data", tmp_path / "run").list()
    assert sorted(one.record.name for one in found) == sorted(won)


@pytest.mark.userns
def test_states_follow_from_the_files(containers: Containers, tmp_path: Path) -> None:
    made = create(containers, "web")
    made.run.mkdir()
    assert made.status().kind == "created"
    config = box.spec(box.make_root(tmp_path / "root"), "sh", "-c", "sleep 30")
    rows = [*plan.container(config), Record(Op.DIRECTORY, str(made.data), str(made.run))]
    running = box.Running(rows)
    status = made.status()
    assert (status.kind, status.pid) == ("running", running.pid)
    assert status.started > 0
    assert (made.run / "attach").is_socket()
    os.kill(running.pid, signal.SIGTERM)  # process 1 without a handler: not even noticed
    os.kill(running.pid, signal.SIGKILL)
    running.end()
    status = made.status()
    assert (status.kind, status.code, status.pid) == ("exited", 137, 0)
    assert status.finished >= status.started
    made.forget_run()
    assert made.status().kind == "created"


@pytest.mark.userns
def test_a_container_whose_monitor_was_killed_is_exited(containers: Containers, tmp_path: Path) -> None:
    made = create(containers, "web")
    made.run.mkdir()
    config = box.spec(box.make_root(tmp_path / "root"), "sh", "-c", "sleep 30")
    running = box.Running([*plan.container(config), Record(Op.DIRECTORY, str(made.data), str(made.run))])
    stat = Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()
    os.kill(int(stat[1]), signal.SIGKILL)
    running.process.wait(10)
    status = made.status()
    os.kill(running.pid, signal.SIGKILL)
    running.end()
    assert (status.kind, status.code) == ("exited", state.LOST)


def test_records_of_other_versions_are_refused(containers: Containers) -> None:
    made = create(containers, "web")
    path = made.data / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))
    with pytest.raises(Exception, match="another version"):
        containers.find("web")


def test_an_empty_record_is_what_a_lost_power_leaves_of_a_container_that_was_to_go(
    containers: Containers,
) -> None:
    made, other = create(containers, "web"), create(containers, "other")
    (made.data / "record.json").write_text("")
    with pytest.raises(NotFoundError):
        containers.find(made.id)
    assert [one.id for one in containers.list()] == [other.id]


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 1}', "null", "[" * 100_000])
def test_a_damaged_record_is_told_and_hinders_no_other(containers: Containers, text: str) -> None:
    made, other = create(containers, "web"), create(containers, "other")
    (made.data / "record.json").write_text(text)
    with pytest.raises(DamagedError, match="damaged"):
        containers.find(made.id)
    assert containers.find("other").id == other.id
    assert create(containers, "third").record.name == "third"


@pytest.mark.parametrize(("name", "text"), [("exit", "x"), ("exit", ""), ("pid", "1"), ("pid", "\udcff x y")])
def test_damaged_notes_of_the_monitor_are_an_end_that_nobody_saw(
    containers: Containers, name: str, text: str
) -> None:
    made = create(containers, "web")
    (made.data / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert made.status().kind in ("created", "exited")


@pytest.mark.parametrize("line", ["{pid} 1 {boot}", "{pid} {start} other-boot", "{pid}"])
def test_a_number_that_is_somebody_elses_now_is_not_the_container(containers: Containers, line: str) -> None:
    made = create(containers, "web")
    start = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (made.data / "pid").write_text(line.format(pid=os.getpid(), start=start, boot=boot))
    status = made.status()
    assert (status.kind, status.code, status.pid) == ("exited", state.LOST, 0)


def test_what_a_killed_command_had_begun_is_cleared_away(containers: Containers, tmp_path: Path) -> None:
    kept = create(containers, "kept")
    begun, removed = create(containers, "begun"), create(containers, "removed")
    for one in (begun, removed):
        (one.data / "record.json").unlink()  # the first before it was there, the other after it was gone
        (one.data / "upper").mkdir()
    cleared = []
    with begun.data.joinpath("lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # whoever makes it lives
        containers.clear_debris(lambda data: cleared.append(data.name))
    assert cleared == [removed.id]
    containers.clear_debris()
    assert [one.name for one in (tmp_path / "data/containers").iterdir()] == [kept.id]
    assert [one.name for one in (tmp_path / "data/names").iterdir()] == ["kept"]


def test_a_rename_that_was_killed_takes_no_name(containers: Containers, tmp_path: Path) -> None:
    made = create(containers, "web")
    (tmp_path / "data/names/new").symlink_to(made.id)  # and then the record was to be written
    with pytest.raises(NotFoundError):
        containers.find("new")
    assert create(containers, "new").record.name == "new"
    containers.rename(made, "other")
    (tmp_path / "data/names/web").symlink_to(made.id)  # and then the old name was to be removed
    assert create(containers, "web").record.name == "web"
