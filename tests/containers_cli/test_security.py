"""Known escapes and hostile values, tried through the command; docs/security.md names what holds."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers_cli.conftest import Host, make_host

pytestmark = [pytest.mark.userns, pytest.mark.fuse, pytest.mark.root, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def one() -> Iterator[Host]:
    """A plain user, for what does not depend on who it is."""
    made = make_host("user")
    yield made
    left = made("ps", "-aq").split()
    if left:
        made("rm", "-f", *left)
    shutil.rmtree(made.top, ignore_errors=True)


# each probe prints its name where something is open that should not be
PROBES = r"""
for fd in /proc/self/fd/* /proc/1/fd/*; do
	case $(readlink $fd) in ''|/dev/null|pipe:*|/proc/*/fd|/bin/*) ;; *) echo fd $fd $(readlink $fd);; esac
done
[ "$(head -c1 /proc/kcore 2>/dev/null | wc -c)" = 0 ] || echo kcore
[ "$(cat /proc/keys /proc/timer_list 2>/dev/null)" = "" ] || echo keys
[ "$(ls -A /sys/firmware 2>/dev/null)" = "" ] || echo firmware
(echo b > /proc/sysrq-trigger) 2>/dev/null && echo sysrq
(echo x > /proc/sys/kernel/core_pattern) 2>/dev/null && echo core_pattern
(echo 1 > /sys/kernel/mm/ksm/run) 2>/dev/null && echo sysfs
(mount -t proc proc /proc) 2>/dev/null && echo mount
(umount /proc/kcore || umount -l /proc/sysrq-trigger) 2>/dev/null && echo unmask
for place in / /dev /dev/shm /tmp /mine; do  # what may be done with a harmless device may be with a disk
	(mknod $place/node c 1 5 && head -c1 $place/node > /tmp/read && [ -s /tmp/read ]) 2>/dev/null && echo disk
	rm -f $place/node
done
(unshare -U true || nsenter -t 1 -m true) 2>/dev/null && echo namespaces
(chroot /proc/1/root true && [ "$(ls /proc/1/root | wc -l)" != "$(ls / | wc -l)" ]) 2>/dev/null && echo root
(echo x > /proc/1/exe) 2>/dev/null && echo exe
[ -e /../../../etc/debian_version ] && echo dots
echo end
"""


def test_nothing_of_the_host_is_left_open(host: Host) -> None:
    words = ("--network=none", "-v", "/mine", "--tmpfs", "/tmp")
    assert host("run", "--rm", *words, "box", "sh", "-c", PROBES) == "end\n"


def test_nothing_is_left_open_to_who_is_executed_either(host: Host) -> None:
    host("run", "-d", "--name", "target", "box", "sleep", "600")
    assert host("exec", "target", "sh", "-c", PROBES) == "end\n"


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_what_the_caller_has_open_is_not_passed_on(host: Host, verb: str) -> None:
    """A descriptor of the host's root would be the host; a pipe would be held for the container's life."""
    root, (read_end, write_end) = os.open("/", os.O_PATH), os.pipe()
    look = ("sh", "-c", "ls /proc/self/fd /proc/1/fd")
    try:
        kept = ("--name", f"keeps-{verb}", "--network=none", "box", "sleep", "600")
        assert host.run("run", "-d", *kept, passed=(root, write_end)).returncode == 0
        os.close(write_end)
        write_end = -1
        ended, _, _ = select.select([read_end], [], [], 20)
        assert ended, "the monitor, the driver or the container holds the pipe"
        words = ("run", "--rm", "--network=none", "box") if verb == "run" else ("exec", f"keeps-{verb}")
        shown = host.run(*words, *look, passed=(root,)).stdout.split()
        assert str(root) not in shown, shown
    finally:
        for fd in (root, read_end, write_end):
            if fd >= 0:
                os.close(fd)


def test_a_volume_at_an_images_link_stays_inside(one: Host) -> None:
    outside, source = one.top / "outside", one.top / "source"
    for path in (outside, source):
        path.mkdir(exist_ok=True)
        path.chmod(0o777)
    (source / "marker").write_text("")
    archive = one.top / "link.tar"
    with tarfile.open(one.top / "box.tar") as box, tarfile.open(archive, "w") as made:
        for member in box:
            made.addfile(member, box.extractfile(member) if member.isreg() else None)
        for name, target in (("data", f"/../../../..{outside}"), ("inner", "/../../../../home")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            made.addfile(link)
    one("import", "-c", 'CMD ["sh"]', str(archive), "linked")
    assert one("run", "--rm", "-v", f"{source}:/inner/x", "linked", "ls", "/home/x") == "marker\n"
    done = one.run("run", "--rm", "-v", f"{source}:/data/x", "linked", "ls", "/data/x")
    assert (done.returncode, done.stdout) in ((125, ""), (0, "marker\n"))
    assert list(outside.iterdir()) == []
    one("rmi", "linked")


HOSTILE = {
    ("-u", "nobody-here"): (125, "unable to find user"),
    ("-u", "0:nobody-here"): (125, "unable to find group"),
    ("-u", "4294967296"): (125, "unable to find user"),
    ("-u", "../../etc/passwd"): (125, "unable to find user"),
    ("-w", "/etc/passwd"): (125, "working directory"),
    ("-w", "/proc/self/fd/7"): (None, "working directory"),
    ("-w", "/../../../.."): (0, ""),
    ("--entrypoint", "/"): (126, "exec /"),
    ("--entrypoint", "/no/such"): (127, "exec /no/such"),
    ("--entrypoint", "/proc/self/exe"): (None, ""),
    ("-e", "PATH=/nowhere:/../../usr/bin"): (127, "exec true"),
}


def test_hostile_values_end_in_one_line(one: Host) -> None:
    """As an image's configuration and a flag alike may have them: from there on they are the same."""
    for flags, (status, text) in HOSTILE.items():
        done = one.run("run", "--rm", "--network", "none", *flags, "box", "true")
        assert status is None or done.returncode == status, (flags, done.stderr)
        assert done.returncode in (0, 125, 126, 127), flags
        assert text in done.stderr
        assert len(done.stderr.splitlines()) <= 1, done.stderr


def test_an_images_hostile_user_is_no_option(one: Host) -> None:
    change = ["-c", "USER --privileged", "-c", 'ENTRYPOINT ["--rm", "-v"]', "-c", "ENV LD_PRELOAD=/evil.so"]
    one("import", *change, str(one.top / "box.tar"), "hostile")
    done = one.run("run", "--rm", "--network", "none", "hostile")
    assert (done.returncode, len(done.stderr.splitlines())) == (125, 1)
    assert "unable to find user --privileged" in done.stderr
    one("rmi", "hostile")


GARBAGE = ("", "\0" * 64, '{"version": 1}', "9" * 5000)


@pytest.mark.parametrize("name", ["record.json", "config.json", "pid", "exit", "form"])
def test_state_that_somebody_damaged_is_refused_in_one_line(one: Host, name: str) -> None:
    one("create", "--name", "damaged", "box", "true")
    [data] = (one.top / "root/containers").iterdir()
    whole = (data / "record.json").read_bytes()
    for text in GARBAGE:
        (data / name).write_text(text)
        for words in (("ps", "-a"), ("start", "damaged"), ("diff", "damaged")):
            done = one.run(*words)
            assert "Traceback" not in done.stderr
            assert "unexpected" not in done.stderr, (words, text, done.stderr)
            assert len(done.stderr.splitlines()) <= 2
        (data / name).unlink(missing_ok=True)
        (data / "record.json").write_bytes(whole)
    one("rm", "-f", "damaged")


def test_a_process_that_is_not_the_containers_is_never_signalled(one: Host) -> None:
    """A pid file that names somebody else's process, with its true start time."""
    one("run", "--name", "ended", "box", "true")
    [data] = (one.top / "root/containers").iterdir()
    with subprocess.Popen([*one.before, "sleep", "600"]) as victim:
        stat = Path(f"/proc/{victim.pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        (data / "exit").unlink()
        (data / "pid").write_text(f"{victim.pid} {int(stat[19]) + 1} {boot}\n")
        assert one.run("kill", "ended").returncode != 0
        (data / "pid").write_text(f"{victim.pid} {stat[19]} {'0' * 36}\n")
        assert one.run("kill", "ended").returncode != 0
        assert victim.poll() is None
        victim.kill()
    (data / "pid").unlink()


def test_a_runtime_directory_of_somebody_else_is_refused(one: Host) -> None:
    foreign = one.top / "foreign"
    foreign.mkdir(mode=0o777, exist_ok=True)
    os.chown(foreign, 33, 33)
    words = one.command("run", "--rm", "box", "true")
    replaced = [f"XDG_RUNTIME_DIR={one.top}/as" if word.startswith("XDG_RUN") else word for word in words]
    (one.top / "as").mkdir(exist_ok=True)
    link = one.top / "as/lamina"
    if not link.is_symlink():
        link.symlink_to(foreign)
    done = subprocess.run(replaced, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 125
    assert "not a directory of ours alone" in done.stderr
    assert list(foreign.iterdir()) == []


def test_files_that_the_container_put_in_the_way_hold_nobody_up(host: Host) -> None:
    host("run", "-d", "--name", "odd", "box", "sleep", "600")
    for make in (
        "mkfifo /etc/passwd /etc/group",
        "ln -s /dev/zero /etc/passwd; ln -s /dev/zero /etc/group",
        "mkdir /etc/passwd /etc/group",
        "truncate -s 999G /etc/passwd /etc/group",
        "ln -s passwd /etc/passwd; ln -s /proc/1/root/etc/group /etc/group",
    ):
        host("exec", "odd", "sh", "-c", f"rm -rf /etc/passwd /etc/group; {make}")
        assert host("exec", "odd", "echo", "there") == "there\n"
        ended = host.run("exec", "-u", "user", "odd", "true")
        assert (ended.returncode, ended.stderr.count("\n")) == (125, 1)
    assert host.run("exec", "-e", "PATH=/nowhere:", "odd", "sh").returncode == 127  # not the host's


SWAP = "mkdir /a; while :; do rm -rf /a/t; mkdir /a/t; rm -rf /a/t; ln -s {} /a/t; done"


@pytest.mark.parametrize("shared", ["root"], indirect=True)
def test_links_that_are_swapped_under_cp_lead_nowhere(host: Host) -> None:
    victim = host.top / "victim"
    victim.mkdir(exist_ok=True)
    victim.chmod(0o777)
    (victim / "secret").write_text("of the host")
    given = host.top / "given"
    given.write_text("given")
    given.chmod(0o644)
    host("run", "-d", "--name", "swap", "box", "sh", "-c", SWAP.format(victim))
    for _ in range(4):
        host.run("cp", str(given), "swap:/a/t/file")
        host.run("cp", str(given), "swap:/a/t")
        assert "of the host" not in host.run("cp", "swap:/a/t/secret", "-").stdout
    assert [path.name for path in victim.iterdir()] == ["secret"]
