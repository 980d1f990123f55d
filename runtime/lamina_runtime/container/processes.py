"""The processes of a running container, seen from outside: signals, ends, what they use.

Theory.  A container's processes are those of its pid namespace and of namespaces below it; which
they are says /proc, so no control group is needed.  A container that had to go without one has at
least a mount namespace, or a root directory, of its own.  A process is signalled through a descriptor of
it (pidfd_open(2)) that is checked after it was opened: a number that was given to another process
in between is never hit.

Stopping all is stopping process 1 first, which then starts no more, and then the others until no
new one shows up.
"""

from __future__ import annotations

import os
import select
import time

from lamina_runtime import contexts
from lamina_runtime.errors import LaminaError, UsageError
from lamina_runtime.quick import signal
from lamina_runtime.value import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lamina_runtime.container.state import Container

SETTLE = 15.0  # seconds for the monitor to write down an end that was seen; a busy machine takes its time
ROUNDS = 50


class NotRunningError(LaminaError):
    """The container does not run."""

    def __init__(self, container: Container) -> None:
        super().__init__(f"container {container.record.name} is not running")


def number(text: str) -> int:
    """Read a signal as people write it: KILL, SIGKILL, 9, RTMIN+1."""
    name = text.upper().removeprefix("SIG")
    if name.isdecimal() and 0 < int(name) <= signal.SIGRTMAX:
        return int(name)
    base, sign, offset = name, "", ""
    for mark in "+-":
        if mark in name:
            base, sign, offset = name.partition(mark)
            break
    if base in ("RTMIN", "RTMAX") and (not sign or offset.isdecimal()):
        edge = int(signal.SIGRTMIN if base == "RTMIN" else signal.SIGRTMAX)
        found = edge + int(f"{sign}{offset}" if sign else 0)
        if signal.SIGRTMIN <= found <= signal.SIGRTMAX:
            return found
    elif name.isalnum() and isinstance(known := getattr(signal, f"SIG{name}", None), int):
        return int(known)
    raise UsageError(f"invalid signal: {text}")


@contexts.contextmanager
def first(container: Container) -> Iterator[int]:
    """Yield a descriptor of process 1; NotRunningError where there is none."""
    pid = container.status().pid
    if not pid:
        raise NotRunningError(container)
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        raise NotRunningError(container) from None
    try:
        if container.status().pid != pid:
            raise NotRunningError(container)
        yield fd
    finally:
        os.close(fd)


def send(container: Container, signum: int) -> None:
    """Signal process 1; NotRunningError where there is none."""
    with first(container) as fd, contexts.suppress(ProcessLookupError):
        signal.pidfd_send_signal(fd, signum)


def ended(fd: int, seconds: float | None) -> bool:
    """Wait for the end of the process of a descriptor; say whether it came in time."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(None if seconds is None else max(0, int(seconds * 1000))))


def settled(container: Container, seconds: float = SETTLE) -> bool:
    """Wait until the end of a container is written down."""
    deadline = time.monotonic() + seconds
    while container.status().kind in ("running", "starting"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def members(pid: int) -> list[int]:
    """Return the processes of the pid namespace of process 1 `pid`, and of those below it."""
    others = (int(name) for name in os.listdir("/proc") if name.isdecimal())
    is_member = _membership(pid)
    return [one for one in others if is_member(one)]


def _membership(first: int) -> Callable[[int], bool]:
    """Return what says whether a process is of the container whose first is `first`."""
    mark = next((mark for mark in _MARKS if mark(first) and mark(first) != mark(os.getpid())), None)
    own = mark(first) if mark else ""
    return lambda one: bool(mark and mark(one) == own) or first in _chain(one)


def _space(pid: int) -> str:
    with contexts.suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid")
    return ""


def _mounts(pid: int) -> str:
    with contexts.suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/mnt")
    return ""


def _root(pid: int) -> str:
    with contexts.suppress(OSError):
        status = os.stat(f"/proc/{pid}/root")
        return f"{status.st_dev}:{status.st_ino}"
    return ""


_MARKS = (_space, _mounts, _root)  # what tells a container's processes from ours, the best first


def _chain(pid: int) -> list[int]:
    """Return a process and those that it comes from, as far as its container can matter."""
    chain: list[int] = []
    while pid > 1 and len(chain) < 256:
        chain.append(pid)
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return []
        pid = int(fields[1])
    return chain


@value
class Usage:
    """What the processes of a container have used so far."""

    processes: int
    ticks: int  # of CPU time
    memory: int  # bytes, shared pages in parts
    read: int  # bytes
    written: int
    received: int
    sent: int


def usage(pid: int) -> Usage:
    """Return what a container uses; parts that cannot be read count as nothing."""
    count = ticks = memory = read = written = 0
    for one in members(pid):
        fields = _text(f"/proc/{one}/stat").rpartition(")")[2].split()
        rollup = _pairs(f"/proc/{one}/smaps_rollup")
        moved = _pairs(f"/proc/{one}/io")
        count += 1
        ticks += int(fields[11]) + int(fields[12]) if len(fields) > 12 else 0
        memory += rollup.get("Pss", 0) * 1024
        read += moved.get("read_bytes", 0)
        written += moved.get("write_bytes", 0)
    received = sent = 0
    for line in _text(f"/proc/{pid}/net/dev").splitlines()[2:]:
        name, _, rest = line.partition(":")
        counts = rest.split()
        if name.strip() != "lo" and len(counts) > 8:
            received, sent = received + int(counts[0]), sent + int(counts[8])
    return Usage(count, ticks, memory, read, written, received, sent)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _pairs(path: str) -> dict[str, int]:
    rows = (line.partition(":") for line in _text(path).splitlines())
    return {
        name: int(rest.split()[0]) for name, colon, rest in rows if colon and rest.split()[:1] and
        rest.split()[0].isdecimal()
    }  # fmt: skip


def is_paused(pid: int) -> bool:
    """Say whether process 1 stands still."""
    return _text(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1] == ["T"]


def freeze(pid: int) -> None:
    """Stop all processes of a container; returns when all stand still."""
    _signal_all(pid, signal.SIGSTOP, until="T")


def thaw(pid: int) -> None:
    """Let all go on, process 1 last."""
    for one in sorted(members(pid), key=lambda member: member == pid):
        _signal(one, signal.SIGCONT, pid)


def _signal(one: int, signum: int, first: int) -> None:
    """Signal a process if it is, still, of the container whose first is `first`."""
    try:
        fd = os.pidfd_open(one)
    except ProcessLookupError:
        return
    try:
        if one == first or _membership(first)(one):
            signal.pidfd_send_signal(fd, signum)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def _signal_all(pid: int, signum: int, *, until: str) -> None:
    for _ in range(ROUNDS):
        waiting = [
            one for one in [pid, *members(pid)]
            if _text(f"/proc/{one}/stat").rpartition(")")[2].split()[:1] not in ([until], ["Z"], [])
        ]  # fmt: skip
        if not waiting:
            return
        for one in waiting:
            _signal(one, signum, pid)
        time.sleep(0.001)
    raise LaminaError("the container's processes do not stand still", details=f"{len(waiting)} still run")
