"""Volumes through the command: their lives, what is in them, who has them."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.volumes.conftest import FULL, Host

pytestmark = [pytest.mark.fuse, pytest.mark.userns, pytest.mark.root, pytest.mark.timeout(90)]
BOX = "box"


def test_a_volume_outlives_its_containers(host: Host) -> None:
    host("run", "--rm", "-v", "kept:/srv/deep", BOX, "sh", "-c", "echo text > /srv/deep/file")
    assert host("run", "--rm", "-v", "kept:/other:ro", BOX, "cat", "/other/file") == "text\n"
    ended = host.run("run", "--rm", "-v", "kept:/other:ro", BOX, "touch", "/other/file")
    assert "Read-only" in ended.stderr
    found = json.loads(host("volume", "inspect", "kept"))[0]
    assert (found["Name"], found["Driver"], found["Scope"]) == ("kept", "local", "local")
    with open(f"{found['Mountpoint']}/file") as file:
        assert file.read() == "text\n"
    host("create", "--name", "user", "-v", "kept:/other", BOX)
    mount = json.loads(host("inspect", "-f", "{{json .Mounts}}", "user"))[0]
    assert (mount["Type"], mount["Name"], mount["Source"]) == ("volume", "kept", found["Mountpoint"])
    ended = host.run("volume", "rm", "-f", "kept")
    assert (ended.returncode, "volume is in use" in ended.stderr) == (1, True)
    assert host("ps", "-aq", "--filter", "volume=kept") != ""
    host("rm", "-v", "user")  # it has a name: -v leaves it
    assert host("volume", "rm", "kept") == "kept\n"
    assert host.run("volume", "rm", "kept").returncode == 1
    host("volume", "rm", "-f", "kept")


def test_what_the_image_has_is_there_at_first(host: Host) -> None:
    script = "stat -c '%n %F %a %u' data data/* data/deep/*; cat data/second; stat -c %h data/file"
    seen = host("run", "--rm", FULL, "sh", "-c", f"cd /; {script}")
    out = host("run", "--rm", "-v", "new:/data", FULL, "sh", "-c", f"cd /; {script}")
    assert out == seen
    assert "data/file regular file 640" in out
    # what is in it stays, and nothing comes to it again
    host("run", "--rm", "-v", "new:/data", FULL, "rm", "/data/file")
    assert host.run("run", "--rm", "-v", "new:/alias", FULL, "cat", "/alias/file").returncode == 1
    # through a link of the image
    assert host("run", "--rm", "-v", "other:/alias", FULL, "cat", "/alias/file") == "from the image\n"
    # not where it is not wished, and nothing of the host
    for volume in ("none:/data:nocopy", "away:/outside/nosuch"):
        assert host("run", "--rm", "-v", volume, FULL, "ls", volume.split(":")[1]) == ""


@pytest.mark.parametrize("shared", ["user"], indirect=True)
def test_anonymous_volumes_go_with_their_containers(host: Host) -> None:
    host("run", "--name", "one", "-v", "/scratch", FULL, "sh", "-c", "echo x > /scratch/a; cat /own/file")
    assert host("logs", "one") == "own\n"
    names = host("volume", "ls", "-q").split()
    assert [len(name) for name in names] == [64, 64]  # -v, and the image's own
    assert host("volume", "ls", "-q", "--filter", "dangling=true") == ""
    host("start", "-a", "one")
    assert host("volume", "ls", "-q").split() == names
    host("run", "--rm", "--volumes-from", "one:ro", BOX, "sh", "-c", "cat /scratch/a; ! touch /own/new")
    assert host("volume", "ls", "-q").split() == names  # another has them
    host("rm", "one")
    assert host("volume", "ls", "-q", "--filter", "dangling=true").split() == names
    host("volume", "create", "named")
    host("network", "create", "unused")
    assert host.run("system", "prune", "-f", "--volumes", "--filter", "until=1h").returncode == 1
    lines = host("system", "prune", "-f", "--volumes").splitlines()
    assert lines[:3] == ["Deleted Networks:", "unused", ""]
    assert lines[3:6] == ["Deleted Volumes:", *names]
    assert host("volume", "ls", "--format", "{{.Name}}") == "named\n"
    assert "named" in host("volume", "prune", "-af")
    host("run", "--rm", "-v", "/scratch", FULL, "true")
    host("create", "--name", "two", FULL)
    assert host.run("create", "--name", "two", FULL).returncode == 125
    host("rm", "-v", "two")
    assert host("volume", "ls", "-q") == ""


@pytest.mark.parametrize("shared", ["user"], indirect=True)
def test_mount_has_dockers_keys(host: Host) -> None:
    os.makedirs(host.top / "bound", exist_ok=True)
    (host.top / "bound/file").write_text("bound\n")
    words = [
        "--mount", "type=volume,src=labelled,dst=/a,volume-label=x=1,readonly",
        "--mount", f"type=bind,source={host.top}/bound,target=/b,ro,bind-propagation=rslave",
        "--mount", '"type=tmpfs","destination=/c",tmpfs-size=1m,tmpfs-mode=700',
        "--mount", "target=/data,volume-nocopy=true",
    ]  # fmt: skip
    script = "touch /a/x || cat /b/file; touch /b/x || stat -c %a /c; df /c | tail -1; ls /data"
    lines = host("run", "--rm", *words, FULL, "sh", "-c", script).splitlines()
    assert lines[:2] == ["bound", "700"]
    assert lines[2].split()[1] == "1024"
    assert len(lines) == 3
    assert host("volume", "ls", "-q", "--filter", "label=x=1") == "labelled\n"
    table = host("volume", "ls").splitlines()
    assert table == ["DRIVER    VOLUME NAME", "local     labelled"]


@pytest.mark.parametrize("shared", ["user"], indirect=True)
def test_a_directory_of_the_host_as_a_volume(host: Host) -> None:
    place = host.top / "bound2"
    place.mkdir(exist_ok=True)
    (place / "file").write_text("bound\n")
    host("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", f"device={place}", "there")
    assert host("run", "--rm", "-v", "there:/x", BOX, "cat", "/x/file") == "bound\n"
    assert host.run("volume", "create", "-o", "type=nfs", "bad").returncode != 0
    host("volume", "rm", "there")
    assert (place / "file").exists()


@pytest.mark.parametrize("shared", ["root", "user"], indirect=True)
def test_a_part_of_a_volume(host: Host) -> None:
    script = (
        "mkdir -p /v/a/b; echo x > /v/a/b/f; ln -s a /v/link; ln -s ../../../../etc /v/out; chmod -R a+rwX /v"
    )
    host("run", "--rm", "-v", "parts:/v", BOX, "sh", "-c", script)

    def part(path: str, *command: str) -> subprocess.CompletedProcess[str]:
        return host.run("run", "--rm", "--mount", f"src=parts,dst=/x,volume-subpath={path}", BOX, *command)

    assert part("link/b", "cat", "/x/f").stdout == "x\n"
    assert part("a/b/f", "cat", "/x").stdout == "x\n"
    for path, said in (("out", "No such file"), ("nosuch", "No such file"), ("../x", "relative path")):
        ended = part(path, "true")
        assert (ended.returncode, said in ended.stderr) == (125, True)
    host("volume", "rm", "parts")


@pytest.mark.parametrize("shared", ["root", "user"], indirect=True)
def test_cp_sees_volumes_of_a_container_that_does_not_run(host: Host) -> None:
    bound = host.top / "bound-cp"
    bound.mkdir(exist_ok=True)
    bound.chmod(0o777)
    (bound / "file").write_text("bound\n")
    words = ("-v", "kept:/srv", "-v", f"{bound}:/host:ro", "--tmpfs", "/fast")
    host("run", "--name", "one", *words, BOX, "sh", "-c", "echo in > /srv/file; ln -s /srv /link")
    assert "in\n" in host("cp", "one:/link/file", "-")
    assert "bound\n" in host("cp", "one:/host/file", "-")
    given = host.top / "given"
    given.write_text("given\n")
    host("cp", str(given), "one:/link/given")
    assert "Read-only" in host.run("cp", str(given), "one:/host/given").stderr
    assert host("run", "--rm", "-v", "kept:/x", BOX, "cat", "/x/given") == "given\n"
    assert "given" not in host("diff", "one")
    rows = {
        row["Type"]: row for row in map(json.loads, host("system", "df", "--format", "json").splitlines())
    }
    assert (rows["Containers"]["TotalCount"], rows["Containers"]["Active"]) == ("1", "0")
    assert (rows["Local Volumes"]["Active"], rows["Local Volumes"]["Reclaimable"]) == ("1", "0B (0%)")
    assert "kept" in host("system", "df", "-v").partition("Local Volumes")[2]
    host("rm", "one")
    host("volume", "rm", "kept")


NONSENSE = [
    ("-v", "a b:/x"),
    ("-v", "x:y"),
    ("-v", "x:/"),
    ("-v", "x:/y:zz"),
    ("-v", "x:/y", "-v", "z:/y/."),
    ("--mount", "type=volume,src=x"),
    ("--mount", "type=volume,src=../x,dst=/y"),
    ("--mount", "type=bind,src=/nosuch,dst=/y"),
    ("--mount", "type=bind,src=/,dst=/y,volume-nocopy"),
    ("--mount", "type=volume,src=x,dst=/y,nosuch=1"),
    ("--mount", "type=volume,dst=/y,volume-driver=nosuch"),
    ("--mount", 'type=volume,dst="/y'),
    ("--volumes-from", "nosuch"),
]


@pytest.mark.parametrize("shared", ["root"], indirect=True)
def test_nonsense_is_refused(host: Host) -> None:
    for words in NONSENSE:
        ended = host.run("run", "--rm", *words, BOX, "true")
        assert (ended.returncode, "Traceback" in ended.stderr) == (125, False)
        assert len(ended.stderr.splitlines()) <= 2


@pytest.mark.parametrize("shared", ["root", "user"], indirect=True)
def test_targets_that_mean_ill_stay_inside(host: Host) -> None:
    """A target that is a link leads somewhere within the container, or nowhere; never out of it."""
    canary = host.top / "canary"
    canary.mkdir(exist_ok=True)
    canary.chmod(0o777)
    links = f"ln -s {'../' * 20}{canary} /t/up; ln -s {canary}/no/where /t/dangling; ln -s loop /t/loop"
    host("run", "--name", "bad", BOX, "sh", "-c", f"mkdir -p /t {canary}; {links}")
    host("commit", "bad", "bad-image")
    out = host(
        "run", "--rm", "-v", "evil:/t/up/x", "bad-image", "sh", "-c", f"echo text > {canary}/x/file; mount"
    )
    assert f" on {canary}/x type " in out
    for target in ("/t/dangling/x", "/t/loop"):
        ended = host.run("run", "--rm", "-v", f"evil:{target}", "bad-image", "true")
        assert (ended.returncode, len(ended.stderr.splitlines())) == (125, 1)
    # links in a volume are the containers' that follow them, and a first use is none with them there
    host("run", "--rm", "-v", "evil:/v", BOX, "sh", "-c", f"rm /v/file; ln -s {canary} /v/deep")
    host("run", "--rm", "-v", "evil:/data", FULL, "sh", "-c", "test -L /data/deep")
    assert not list(canary.iterdir())
    host("rm", "bad")
    host("rmi", "bad-image")
