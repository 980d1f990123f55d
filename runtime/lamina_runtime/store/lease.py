"""Leases: what is in use, or about to be, is safe from collect().

Theory.  A lease is a file that names a process and lists what it relies on.  Whatever is added or
asked for through a Store is noted in all leases that are open on it, before it is looked at.  A
lease ends with its `with` block, or is handed over to another process (a mount's server) and ends
with that, or is kept until someone ends it by its name (a container that is stopped).

It is stale when nobody has the file locked and the process it names is gone: pid and start time
of this boot and this pid namespace; pids get used again, the pair does not.

Who may only read a store cannot note anything.  He holds the store's lock together with others
instead, for as long as his `with` block lasts: then nothing is collected at all.  What is handed
over or kept from such a lease is protected no further; a mount has all its files open by then,
and an open file stays readable when it is removed.
"""

from __future__ import annotations

import fcntl
import os
from _thread import allocate_lock

from lamina_runtime import contexts
from lamina_runtime.fspath import Path
from lamina_runtime.oci import json
from lamina_runtime.oci.digest import Digest
from lamina_runtime.oci.errors import OciError
from lamina_runtime.store import files
from lamina_runtime.store.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any

    Together = Callable[[], AbstractContextManager[None]]

NOWHERE = -1  # as descriptor: of a lease on a store that cannot be written to
KEPT = 0  # as pid: the lease ends when it is told to


def start_time(pid: int) -> int | None:
    """Return when a process began, in ticks since boot; None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def _holder(pid: int) -> dict[str, Any]:
    began = start_time(pid) if pid != KEPT else 0
    if began is None:
        raise StoreError(f"process {pid} is gone and cannot hold a lease")
    return {"pid": pid, "start": began, "boot": _boot(), "namespace": _namespace()}


def _boot() -> str:
    with contexts.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _namespace() -> str:
    with contexts.suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return ""


class Lease:
    """One lease of this process; safe under threads."""

    def __init__(self, path: Path, fd: int, header: dict[str, Any], together: Together) -> None:
        self.path = path
        self._fd, self._header, self._together = fd, header, together
        self._noted: set[str] = set()
        self.brought: set[Digest] = set()  # what was not there before; collect() takes just that back
        self.lasting: set[Digest] = set()  # of that, what stays all the same
        self._lock = allocate_lock()
        self._given = False

    @property
    def name(self) -> str:
        """What Store.end_lease() knows it by; "" if it is nowhere noted."""
        return self.path.name if self._fd != NOWHERE else ""

    def hold(self, digest: Digest) -> None:
        """Note something that must stay: a blob, a layer by its diffID, an image by its id."""
        text = str(digest)
        with self._lock:
            if text not in self._noted and self._fd != NOWHERE:
                os.write(self._fd, f"{text}\n".encode())
                self._noted.add(text)

    def hand_over(self, pid: int) -> None:
        """Let it end with that process instead of with our `with` block."""
        self._rewrite(_holder(pid), durable=False)  # the process does not outlive the power either

    def keep(self, *, durable: bool = True) -> str:
        """Let it stay until Store.end_lease(), whoever lives or dies; returns its name.

        One that is not durable may be gone after a power failure.
        """
        self._rewrite(_holder(KEPT), durable=durable)
        return self.name

    def _rewrite(self, holder: dict[str, Any], *, durable: bool) -> None:
        if self._fd == NOWHERE:
            return
        with self._together(), self._lock:  # nobody sweeps what is being written
            self._header |= {"holder": holder}
            lines = [json.dump(self._header).decode(), *sorted(self._noted)]
            text, temporary = "\n".join([*lines, ""]).encode(), self.path.parent.parent / "temporary"
            files.replace(self.path, text, temporary=temporary, durable=durable)
            os.close(self._fd)
            self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            fcntl.flock(self._fd, fcntl.LOCK_EX)  # besides its holder we keep it alive, until we close it
            self._given = True

    def close(self) -> None:
        """End it, unless it was given away."""
        if self._fd == NOWHERE:
            return
        with self._lock:
            if not self._given:
                files.remove(self.path)
            os.close(self._fd)


def open_lease(leases: Path, reason: str, together: Together) -> Lease:
    """Start a lease of this process; only under the store's lock, which `together` takes."""
    path = files.temporary_name(leases)
    header = {"reason": json.writable(reason), "holder": _holder(os.getpid())}
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, files.MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.write(fd, json.dump(header) + b"\n")
    except BaseException:
        files.remove(path)
        os.close(fd)
        raise
    return Lease(path, fd, header, together)


def unwritten(leases: Path, together: Together) -> Lease:
    """Return a lease that is noted nowhere; its holder keeps the store's lock."""
    return Lease(leases, NOWHERE, {}, together)


def is_alive(path: Path) -> bool:
    """Say whether someone still relies on a lease."""
    if files.is_held(path):
        return True
    holder = _header(path).inner("holder")
    if holder is None:
        return False
    if holder.integer("pid") == KEPT:
        return True
    if (holder.text("boot"), holder.text("namespace")) != (_boot(), _namespace()):
        return False
    return start_time(holder.integer("pid")) == holder.integer("start")


def _header(path: Path) -> json.Object:
    try:
        with path.open("rb") as file:
            return json.load_object(file.readline(json.MAX_SIZE), path.name)
    except (OciError, FileNotFoundError):
        return json.Object({}, path.name)  # its writer died before the first line was whole


def held(leases: Path) -> Iterator[tuple[Path, str, set[Digest]]]:
    """Yield each living lease: its file, its reason, what it relies on."""
    for path in sorted(leases.iterdir()):
        if not is_alive(path):
            continue
        with contexts.suppress(FileNotFoundError):  # it ended meanwhile, which takes no lock
            reason, digests = _header(path).text("reason"), _listed(path)
            yield path, reason, digests


def _listed(path: Path) -> set[Digest]:
    found = set()
    for line in path.read_bytes().decode("ascii", "replace").splitlines()[1:]:
        with contexts.suppress(OciError):  # a line that is being written
            found.add(Digest.parse(line))
    return found


def sweep(leases: Path) -> int:
    """Remove stale leases; only under the store's lock, alone."""
    return sum(files.remove(path) for path in sorted(leases.iterdir()) if not is_alive(path))
