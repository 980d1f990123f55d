"""What is done with each command on each kind of host: the smallest use that shows that it works."""

from __future__ import annotations

import json
import tarfile
import time
from collections.abc import Callable

from tests.matrix.stage import IMAGE, PASSWORD, USER, Stage

Cell = Callable[[Stage], None]
CELLS: dict[str, Cell] = {}
# what a kind of host cannot do at all, and what says so: a mount for others to see, a user namespace
REFUSED = {
    ("no-fuse", "mount"): "/dev/fuse: not there",
    ("no-fuse", "unmount"): "/dev/fuse: not there",
    ("no-userns", "mount"): "/dev/fuse: not there",
    ("no-userns", "unmount"): "/dev/fuse: not there",
    ("no-userns", "unshare"): "namespace: Operation not permitted",
}


def cell(function: Cell) -> Cell:
    """Enter a function as the cell of the command that it is named after."""
    CELLS[function.__name__.strip("_").replace("_", " ")] = function
    return function


# ---- images ----


@cell
def images(on: Stage) -> None:
    assert on("images", "--format", "{{.Repository}}") == f"{IMAGE}\n"


@cell
def import_(on: Stage) -> None:
    on("import", str(on.top / "box.tar"), "again")
    assert on("run", "--rm", "again", "/bin/busybox", "echo", "in") == "in\n"
    on("rmi", "again")


@cell
def inspect(on: Stage) -> None:
    assert json.loads(on("inspect", IMAGE))[0]["RepoTags"] == [f"{IMAGE}:latest"]


@cell
def history(on: Stage) -> None:
    assert len(on("history", "-q", IMAGE).splitlines()) == 1


@cell
def tag(on: Stage) -> None:
    on("tag", IMAGE, "other:2")
    assert on("images", "-q", "other:2") == on("images", "-q", IMAGE)
    on("rmi", "other:2")


@cell
def rmi(on: Stage) -> None:
    on("tag", IMAGE, "gone")
    assert "Untagged: gone:latest" in on("rmi", "gone")


@cell
def save(on: Stage) -> None:
    on("save", "-o", str(on.top / "saved.tar"), IMAGE)
    with tarfile.open(on.top / "saved.tar") as archive:
        assert "manifest.json" in archive.getnames()


@cell
def load(on: Stage) -> None:
    on("tag", IMAGE, "loaded")
    on("save", "-o", str(on.top / "loaded.tar"), "loaded")
    on("rmi", "loaded")
    assert on("load", "-i", str(on.top / "loaded.tar")) == "Loaded image: loaded:latest\n"
    on("rmi", "loaded")


@cell
def push(on: Stage) -> None:
    on("tag", IMAGE, f"{on.registry}/pushed:1")
    assert "digest: sha256:" in on("push", f"{on.registry}/pushed:1")
    on("rmi", f"{on.registry}/pushed:1")


@cell
def pull(on: Stage) -> None:
    name = f"{on.registry}/pulled:1"
    on("tag", IMAGE, name)
    on("push", "-q", name)
    on("rmi", name)
    assert f"Status: Downloaded newer image for {name}" in on("pull", name)
    on("rmi", name)


@cell
def search(on: Stage) -> None:
    name = f"{on.registry}/found:1"
    on("tag", IMAGE, name)
    on("push", "-q", name)
    on("rmi", name)
    assert on("search", "--format", "{{.Name}}", f"{on.registry}/found") == f"{on.registry}/found\n"


@cell
def login(on: Stage) -> None:
    assert "Login Succeeded" in on("login", "-u", USER, "--password-stdin", on.guarded, stdin=PASSWORD)
    name = f"{on.guarded}/kept:1"
    on("tag", IMAGE, name)
    on("push", "-q", name)
    on("rmi", name)


@cell
def logout(on: Stage) -> None:
    on("login", "-u", USER, "--password-stdin", on.guarded, stdin=PASSWORD)
    on("logout", on.guarded)
    assert on.host.run("pull", f"{on.guarded}/kept:1").returncode != 0


@cell
def image_verify(on: Stage) -> None:
    on("image", "verify", IMAGE)


@cell
def image_prune(on: Stage) -> None:
    assert "Total reclaimed space" in on("image", "prune", "-f")


@cell
def store_check(on: Stage) -> None:
    on("store", "check", "--full")


@cell
def store_gc(on: Stage) -> None:
    on("store", "gc")
    assert on("images", "-q") != ""


@cell
def store_dedup(on: Stage) -> None:
    on("store", "dedup")
    on("store", "check")


@cell
def system_df(on: Stage) -> None:
    assert "Images" in on("system", "df")


@cell
def system_prune(on: Stage) -> None:
    on("create", "--name", "left", IMAGE)
    assert "Total reclaimed space" in on("system", "prune", "-f")
    assert on("ps", "-aq") == ""


@cell
def why(on: Stage) -> None:
    assert "from layer 1/1" in on("why", IMAGE, "/etc/passwd")


@cell
def mount(on: Stage) -> None:
    at = on.directory("at")
    if _refused(on, "mount", "mount", IMAGE, str(at)):
        return
    on("mount", IMAGE, str(at))
    assert str(at) in on("mount")
    on("unmount", str(at))


@cell
def unmount(on: Stage) -> None:
    at = on.directory("at")
    if _refused(on, "unmount", "mount", "--rw", IMAGE, str(at)):
        assert on.host.run("unmount", str(at)).returncode != 0
        return
    on("mount", "--rw", IMAGE, str(at))
    on("unmount", str(at))
    assert str(at) not in on("mount")


# ---- containers ----


@cell
def run(on: Stage) -> None:
    script = "read line; echo $line $GREETING; echo x > /new; cat /new; exit 3"
    words = ["-i", "--rm", "-e", "GREETING=there", "-w", "/tmp", IMAGE, "sh", "-c", script]
    done = on.host.run("run", *words, stdin="hello\n")
    assert (done.stdout, done.returncode) == ("hello there\nx\n", 3), done.stderr


@cell
def create(on: Stage) -> None:
    on("create", "--name", "made", IMAGE, "true")
    assert on.host.state("made") == "created 0"


@cell
def start(on: Stage) -> None:
    on("create", "--name", "begun", IMAGE, "echo", "here")
    assert on("start", "-a", "begun") == "here\n"


@cell
def stop(on: Stage) -> None:
    on.up("stops", "trap 'exit 4' TERM; while :; do sleep 0.1; done")
    on("stop", "stops")
    assert on.host.state("stops").startswith("exited ")


@cell
def restart(on: Stage) -> None:
    on.up("again")
    on("restart", "-t", "0", "again")
    assert on.host.state("again") == "running 0"


@cell
def kill(on: Stage) -> None:
    on.up("dies")
    on("kill", "dies")
    assert on.host.state("dies") == "exited 137"


@cell
def pause(on: Stage) -> None:
    on.up("still")
    on("pause", "still")
    assert on.host.state("still") == "paused 0"


@cell
def unpause(on: Stage) -> None:
    on.up("stilled")
    on("pause", "stilled")
    on("unpause", "stilled")
    assert on.host.state("stilled") == "running 0"


@cell
def wait(on: Stage) -> None:
    on.up("ends", "exit 6")
    assert on("wait", "ends") == "6\n"


@cell
def exec_(on: Stage) -> None:
    on.up("busy", "echo 1 > /own; exec sleep 100")
    _eventually(lambda: on.host.run("exec", "busy", "cat", "/own").stdout == "1\n")
    assert on("exec", "-i", "-e", "A=b", "busy", "sh", "-c", "cat; echo $A", stdin="in\n") == "in\nb\n"
    assert on.host.run("exec", "busy", "nosuch").returncode == 127


@cell
def attach(on: Stage) -> None:
    on.up("talks", "read line; echo got $line; exit 5", "-i")
    done = on.host.run("attach", "talks", stdin="word\n")
    assert (done.stdout, done.returncode) == ("got word\n", 5), done.stderr


@cell
def logs(on: Stage) -> None:
    on("run", "--name", "said", IMAGE, "sh", "-c", "echo one; echo two >&2")
    done = on.host.run("logs", "said")
    assert (done.stdout, done.stderr) == ("one\n", "two\n")


@cell
def ps(on: Stage) -> None:
    on.up("listed")
    assert on("ps", "--format", "{{.Names}} {{.Image}}") == f"listed {IMAGE}\n"


@cell
def top(on: Stage) -> None:
    on.up("works")
    assert "sleep 100" in on("top", "works")


@cell
def stats(on: Stage) -> None:
    on.up("counted")
    assert on("stats", "--no-stream", "--format", "{{.Name}}") == "counted\n"


@cell
def rename(on: Stage) -> None:
    on("create", "--name", "old", IMAGE)
    on("rename", "old", "new")
    assert on("ps", "-a", "--format", "{{.Names}}") == "new\n"


@cell
def rm(on: Stage) -> None:
    on.up("falls")
    assert on.host.run("rm", "falls").returncode == 1
    on("rm", "-f", "falls")
    assert on("ps", "-aq") == ""


@cell
def container_prune(on: Stage) -> None:
    on("create", "--name", "idle", IMAGE)
    on("container", "prune", "-f")
    assert on("ps", "-aq") == ""


@cell
def cp(on: Stage) -> None:
    on.up("takes")
    (on.top / "given").write_text("given\n")
    on("cp", str(on.top / "given"), "takes:/tmp/taken")
    assert on("exec", "takes", "cat", "/tmp/taken") == "given\n"
    on("cp", "takes:/tmp/taken", str(on.top / "back"))
    assert (on.top / "back").read_text() == "given\n"


@cell
def diff(on: Stage) -> None:
    _changed(on, "differs")
    assert on("diff", "differs").splitlines() == ["C /etc", "D /etc/group", "C /etc/passwd", "A /new"]


@cell
def commit(on: Stage) -> None:
    _changed(on, "kept")
    on("commit", "-m", "changed", "kept", "kept:1")
    script = "cat /new; ls /etc/group; tail -n 1 /etc/passwd"
    assert on.host.run("run", "--rm", "kept:1", "sh", "-c", script).stdout == "1\nlast\n"
    on("rm", "kept")
    on("rmi", "kept:1")


@cell
def export(on: Stage) -> None:
    _changed(on, "sent")
    on("export", "-o", str(on.top / "export.tar"), "sent")
    with tarfile.open(on.top / "export.tar") as archive:
        names = archive.getnames()
    assert "new" in names
    assert "bin/busybox" in names
    assert "etc/group" not in names


@cell
def unshare(on: Stage) -> None:
    if not _refused(on, "unshare", "unshare", "id", "-u"):
        assert on("unshare", "id", "-u") == "0\n"


# ---- the host ----


@cell
def doctor(on: Stage) -> None:
    rungs = json.loads(on.host.run("doctor", "--format", "json").stdout)
    assert rungs


@cell
def info(on: Stage) -> None:
    assert json.loads(on("info", "--format", "json"))


@cell
def version(on: Stage) -> None:
    assert on("version", "--format", "{{.Client.Version}}").strip()


@cell
def bench(on: Stage) -> None:
    assert "walk-cold" in on("bench", "--list")


def _refused(on: Stage, name: str, *words: str) -> bool:
    """Say whether the cell is one that must refuse, in one clear line and with nothing left, and does."""
    reason = REFUSED.get((on.kind, name))
    if reason is not None:
        done = on.host.run(*words)
        assert done.returncode in (1, 125)
        assert done.stdout == ""
        assert done.stderr.count("error: ") == 1
        assert reason in done.stderr
    return reason is not None


def _changed(on: Stage, name: str) -> None:
    script = "echo 1 > /new; rm /etc/group; echo last >> /etc/passwd"
    on("run", "--name", name, IMAGE, "sh", "-c", script)


def _eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
