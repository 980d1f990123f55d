"""A container's life on each host that lacks something: what is said, what works, what a commit holds."""

from __future__ import annotations

import io
import tarfile

import pytest

from tests.ladder.conftest import Place

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.fuse, pytest.mark.timeout(120)]

SAID = {
    "no-fuse": ["no /dev/fuse: kernel overlayfs"],
    "null-fuse": ["no /dev/fuse: kernel overlayfs"],
    "no-fuse-ids": ["no /dev/fuse: kernel overlayfs"],
    "no-union": ["no /dev/fuse: kernel overlayfs", "the container gets a copy"],
    "broken-ids": ["neither the setuid bit nor capabilities: one id takes the place of many"],
    "refusing-ids": ["newuidmap refused the ids: one id takes the place of many"],
    "no-helpers": [],
    "masked-proc": ["/proc is masked here"],
    "no-userns": ["NOT ISOLATED: this host gives no namespaces", "the container gets a copy"],
}
CHANGES = (
    "echo one > /new; rm /etc/group; mkdir -p /d/e; ln -s q /d/l; mv /home /moved; echo user >> /etc/passwd; "
    "touch -d @5 /bin/busybox; chmod 700 /root"
)
EXPECTED = """C /bin
C /bin/busybox
A /d
A /d/e
A /d/l
C /etc
D /etc/group
C /etc/passwd
D /home
A /moved
A /new
C /root
A /third"""


LIVES = ("no-fuse", "no-union", "masked-proc", "no-userns")


@pytest.mark.parametrize("place", [kind for kind in SAID if kind not in LIVES], indirect=True)
def test_what_is_missing_is_said_and_replaced(place: Place) -> None:
    done = place.run("run", "--name", "brief", "box", "sh", "-c", "id -u; echo one > /new; chown 33 /new")
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    _check_said(place, done.stderr)
    assert place("diff", "brief").splitlines()[-1] == "A /new"
    place("rm", "brief")


def _check_said(place: Place, text: str) -> None:
    expected = SAID[place.host.kind]
    lines = [
        line for line in text.splitlines() if "no slirp4netns or pasta" not in line
    ]  # as the machine has it
    assert len(lines) == len(expected), text
    for line, part in zip(lines, expected, strict=True):
        assert part in line


@pytest.mark.parametrize("place", LIVES, indirect=True)
def test_a_container_lives_where_something_is_missing(place: Place) -> None:
    done = place.run(
        "run", "-d", "--name", "life", "box", "sh", "-c", f"echo said; {CHANGES}; exec sleep 600"
    )
    assert done.returncode == 0, done.stderr
    _check_said(place, done.stderr)
    place(
        "exec", "life", "sh", "-c", "until [ $(stat -c %a /root) = 700 ]; do sleep 0.05; done; echo 3 >/third"
    )
    assert place("exec", "-w", "/tmp", "life", "pwd") == "/tmp\n"
    assert place("logs", "life") == "said\n"
    assert set(EXPECTED.split("\n")) <= set(place("diff", "life").splitlines())
    with tarfile.open(fileobj=io.BytesIO(place("cp", "life:/new", "-").encode())) as tar:
        assert [(member.name, member.size) for member in tar] == [("new", 4)]
    place("commit", "life", "second")
    place("stop", "-t", "1", "life")
    assert place("diff", "life").splitlines() == EXPECTED.split("\n")
    inside = place(
        "run", "--rm", "second", "sh", "-c", "cat /new /third; ls /d; ls -d /home; stat -c %Y /bin/busybox"
    )
    assert inside.split() == ["one", "3", "e", "l", "5"]
    place("start", "life")
    assert place("top", "life").count("sleep") == 1
    place("rm", "-f", "life", stdin="")


@pytest.mark.parametrize("place", ["no-fuse", "no-union", "no-userns"], indirect=True)
def test_what_happens_behind_the_times_of_files_is_seen(place: Place) -> None:
    script = (
        "cp -p /etc/passwd /kept; sed -i s/root/toor/ /etc/passwd; touch -r /kept /etc/passwd; rm /kept; "
        "mv /bin /q; /q/busybox mkdir /bin; /q/busybox mv /q/* /bin; rm -r /q"
    )
    place("run", "--name", "times", "box", "sh", "-c", script)
    assert "C /etc/passwd" in place("diff", "times").splitlines()
    assert not [line for line in place("diff", "times").splitlines() if line[0] in "AD"]
    place("commit", "times", "toor")
    assert place("run", "--rm", "toor", "head", "-c4", "/etc/passwd") == "toor"
    place("rm", "times")


@pytest.mark.parametrize("place", ["no-userns"], indirect=True)
def test_a_changed_root_is_all_there_is_and_what_needs_more_is_refused(place: Place) -> None:
    for flags in (("-v", "/etc:/x"), ("--tmpfs", "/x"), ("--read-only",)):
        done = place.run("run", "--rm", *flags, "box", "true")
        assert done.returncode == 125
        assert "this host gives no mount namespace" in done.stderr
    # not the way out that a root with CAP_SYS_CHROOT has
    done = place.run("run", "--rm", "box", "chroot", "/bin", "/busybox", "true")
    assert done.returncode != 0
    assert "Operation not permitted" in done.stderr
    assert place.run("run", "--rm", "box", "mknod", "/disk", "b", "8", "0").returncode != 0


@pytest.mark.parametrize("place", ["no-userns"], indirect=True)
def test_without_a_pid_namespace_nothing_outlives_the_first_process(place: Place) -> None:
    marked = "sleep 987654 & (sleep 987654 &) ; setsid sleep 987654 & echo on; cat"
    place("run", "--rm", "box", "sh", "-c", marked)
    assert place.shell("pgrep -f '[s]leep 987654'").stdout == ""


@pytest.mark.parametrize("place", ["no-userns-user", "powerless-user"], indirect=True)
def test_a_user_without_user_namespaces_is_told_and_can_still_look(place: Place) -> None:
    done = place.run("run", "--rm", "box", "true")
    assert done.returncode == 125
    lack = {"no-userns-user": "user", "powerless-user": "mount"}[place.host.kind]
    assert f"can have no containers here: make a {lack} namespace" in done.stderr
    assert [row for row in place("doctor").splitlines() if row.startswith(f"no  {lack} namespace ")]
    assert "lamina doctor" in done.stderr
    assert "box" in place("images")
    assert place("ps", "-aq") == ""


@pytest.mark.parametrize("place", ["no-fuse"], indirect=True)
def test_the_shared_copy_of_an_image_goes_with_the_image(place: Place) -> None:
    place("tag", "box", "again")
    place("run", "--rm", "box", "true")
    copies = place.top / "root/unpacked"
    kept = [one.name for one in copies.iterdir() if one.is_dir()]
    assert kept
    place("run", "--name", "user", "box", "sh", "-c", "echo own > /own")
    place("commit", "user", "own")
    place("run", "--rm", "own", "true")
    assert len([one for one in copies.iterdir() if one.is_dir()]) == len(kept) + 1
    place("rm", "user")
    place("rmi", "own")
    place("system", "prune", "-f")
    assert [one.name for one in copies.iterdir() if one.is_dir()] == kept
