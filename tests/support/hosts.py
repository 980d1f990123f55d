"""Hosts that lack something, made of this one: where a command is to find out what it can do without.

    with hosts.host("no-fuse") as host:
        subprocess.run(host.wrap(["lamina", "run", ...]))

Theory.  A kind of host is a set of namespaces, kept by a process that sleeps in them, with what the
kind lacks hidden by mounts; `wrap` puts words before a command that enter them, so that what one command
starts, the next one finds.  What belongs to a process and not to a namespace (capabilities, a filter)
is set by the same words.  Everything in a kind that has a pid namespace of its own ends with it.

  plain         a user with subordinate ids; nothing is hidden
  root          root; nothing is hidden
  no-ids        the user without a line in /etc/subuid and /etc/subgid
  no-fuse       the user with subordinate ids; /dev has no fuse
  no-userns     root as docker makes it: few capabilities, a filter that refuses mount(2), unshare(2)
                and user namespaces, masked /proc, no /dev/fuse
  masked-proc   root of a user namespace (rootless docker or podman around us) with masked /proc

Further ones, for single rungs:

  no-helpers    the user; no newuidmap, fusermount3, slirp4netns, pasta
  broken-ids    the user; newuidmap has lost its setuid bit
  refusing-ids  the user; newuidmap refuses
  no-fuse-ids   the user without subordinate ids and without /dev/fuse
  null-fuse     the user; /dev/null is mounted over /dev/fuse, as sandboxes do
  no-union      the user without /dev/fuse, /tmp where kernel overlayfs cannot write
  no-userns-user  the user; user namespaces are refused by a filter, as in a container
  powerless-user  the user; in user namespaces nothing is allowed, as AppArmor has it on Ubuntu
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import accounts

KINDS = ("plain", "root", "no-ids", "no-fuse", "no-userns", "masked-proc")
REFUSE = Path(__file__).with_name("refuse.py")
# moby's default set (oci/caps/defaults.go)
DOCKERS = (
    "chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod "
    "audit_write setfcap"
).split()
HELPERS = ("newuidmap", "newgidmap", "fusermount3", "fusermount", "slirp4netns", "pasta")

_NO_FUSE = """
mount -t tmpfs -o mode=1777 shm /dev/shm
mkdir /dev/shm/dev
mount -t tmpfs -o mode=755 dev /dev/shm/dev
cd /dev/shm/dev
for name in null zero full random urandom tty; do : > $name; mount --bind /dev/$name $name; done
mkdir pts shm
mount --rbind /dev/pts pts
mount -t tmpfs -o mode=1777 shm shm
ln -s pts/ptmx ptmx; ln -s /proc/self/fd fd
ln -s fd/0 stdin; ln -s fd/1 stdout; ln -s fd/2 stderr
cd /
mount --move /dev/shm/dev /dev
"""
_MASKED = """
mount -t proc proc /proc
for name in kcore keys timer_list; do
	[ ! -e /proc/$name ] || mount --bind /dev/null /proc/$name
done
for name in acpi scsi; do [ ! -d /proc/$name ] || mount -t tmpfs -o ro masked /proc/$name; done
for name in bus fs irq sys sysrq-trigger; do
	[ ! -e /proc/$name ] || { mount --bind /proc/$name /proc/$name; mount -o remount,bind,ro /proc/$name; }
done
"""
# an overlayfs cannot be the upper of another
_UNION_AT_TMP = """
mount -t tmpfs -o mode=755 union /mnt
mkdir /mnt/upper /mnt/work
chmod 1777 /mnt/upper
mount -t overlay -o lowerdir=/tmp,upperdir=/mnt/upper,workdir=/mnt/work union /tmp
umount -l /mnt
"""
_NO_IDS = "for name in subuid subgid; do mount --bind /dev/null /etc/$name; done\n"


def _overmounted(names: Sequence[str], over: str) -> str:
    found = [path for path in (shutil.which(name) for name in names) if path]
    return "".join(f"mount --bind {over} {path}\n" for path in found)


@dataclass(frozen=True)
class Host:
    """A kind of host that is there, until its context ends."""

    kind: str
    words: tuple[str, ...]
    uid: int  # who a command is, as this machine's other processes see it
    gid: int

    def wrap(self, command: Sequence[str]) -> list[str]:
        """Return the command line that runs a command there; its environment is to be set with env(1)."""
        return [*self.words, *command]

    @property
    def is_root(self) -> bool:
        """Whether commands are root there."""
        return self.kind in ("root", "no-userns", "masked-proc")


@contextlib.contextmanager
def host(kind: str) -> Iterator[Host]:
    """Make one; needs root, but for `plain` as a plain user."""
    user = tuple(accounts.as_user())
    match kind:
        case "plain":
            accounts.ensure_user()
            yield Host(kind, user, *accounts.ids())
        case "root":
            yield Host(kind, (), 0, 0)
        case "masked-proc":
            with _kept(_MASKED, pids=True, ids=True) as words:
                root = ("setpriv", "--pdeathsig", "KILL", "--clear-groups", "--")
                yield Host(kind, (*words, *root), 0, 0)
        case "no-userns":
            with _kept(_MASKED + _NO_FUSE, pids=True) as words:
                kept = ",".join(["-all", *(f"+{name}" for name in DOCKERS)])
                less = ("setpriv", "--bounding-set", kept, "--inh-caps=-all", "--pdeathsig", "KILL", "--")
                yield Host(kind, (*words, *_refusing(), *less), 0, 0)
        case _:
            accounts.ensure_user()
            with _kept(_script(kind)) as words:
                filtered = {
                    "no-userns-user": _refusing(),
                    "powerless-user": (*_refusing(), "--powerless"),
                }.get(kind, ())
                yield Host(kind, (*words, *filtered, *user), *accounts.ids())


def _refusing() -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", str(REFUSE))


def _script(kind: str) -> str:
    match kind:
        case "no-ids":
            return _NO_IDS
        case "no-fuse":
            return _NO_FUSE
        case "no-fuse-ids":
            return _NO_FUSE + _NO_IDS
        case "null-fuse":
            return "mount --bind /dev/null /dev/fuse\n"
        case "no-union":
            return _NO_FUSE + _UNION_AT_TMP
        case "no-helpers":
            return _overmounted(HELPERS, "/dev/null")
        case "refusing-ids":
            false = shutil.which("false") or "/bin/false"
            return (
                f"mount -t tmpfs -o mode=755 ids /mnt; cp {false} /mnt/false; chmod 4755 /mnt/false\n"
                + _overmounted(("newuidmap", "newgidmap"), "/mnt/false")
                + "umount -l /mnt\n"
            )
        case "broken-ids":
            paths = " ".join(filter(None, map(shutil.which, ("newuidmap", "newgidmap"))))
            return (
                "mount -t tmpfs -o mode=755 ids /mnt\n"
                f"for path in {paths}; do copy=/mnt/${{path##*/}}\n"
                "cp $path $copy; chmod 755 $copy; mount --bind $copy $path; done\n"
                "umount -l /mnt\n"
            )
        case "no-userns-user" | "powerless-user":
            return ":\n"
    raise ValueError(kind)


@contextlib.contextmanager
def _kept(script: str, *, pids: bool = False, ids: bool = False) -> Iterator[tuple[str, ...]]:
    """Make the namespaces, run the script in them; yield the words that enter them.

    With `ids` a user namespace with the ids 0 to 65535 lies around what `script` has mounted: its
    root cannot look below those mounts.
    """
    sleep = "echo up; exec env --ignore-signal=CHLD sleep infinity"  # orphans are reaped by the kernel
    inner = ["sh", "-c", sleep]
    if ids:
        inner = ["unshare", "--user", "--mount", *inner]
    whole = ["sh", "-ec", f'{script}\nexec "$@"', "sh", *inner]
    around = ["unshare", "--mount", "--propagation", "private"]
    around += ["--pid", "--fork", "--kill-child"] if pids else []
    # a session of its own: what a terminal sends to us is not for it
    sleeper = subprocess.Popen([*around, *whole], stdout=subprocess.PIPE, start_new_session=True)
    pid = 0
    try:
        assert sleeper.stdout is not None
        if sleeper.stdout.readline() != b"up\n":
            raise AssertionError(f"the host could not be made: status {sleeper.wait()}")
        pid = _child(sleeper.pid) if pids else sleeper.pid
        if ids:
            for name in ("uid_map", "gid_map"):
                Path(f"/proc/{pid}/{name}").write_text("0 0 65536\n")
        words = ["nsenter", f"--target={pid}", "--mount"]
        words += ["--pid"] if pids else []
        words += ["--user", "--setuid=0", "--setgid=0"] if ids else []
        yield (*words, "--wd=/", "--")
    finally:
        if pid:  # by itself: a user namespace makes it forget whose death it was to follow
            os.kill(pid, signal.SIGKILL)
        sleeper.kill()
        sleeper.wait()
        if sleeper.stdout is not None:
            sleeper.stdout.close()


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def own(host: Host, *paths: Path) -> None:
    """Give paths to who runs commands there."""
    for path in paths:
        if os.geteuid() == 0:
            os.chown(path, host.uid, host.gid)
