"""All containers of one user: making, naming, finding, forgetting.

Theory.  A container is there from the moment its `record.json` is, until that is gone.  What is
made before, and what is left after, is debris: whoever makes or removes a container holds its
`lock` meanwhile, so debris whose lock is free belongs to a command that was killed, and the next
one clears it up (`debris`).

A name is a symbolic link to an id, and counts only if the record says the same; names change under
one lock, so that of several who want one exactly one gets it.
"""

from __future__ import annotations

import errno
import fcntl
import os

from lamina_runtime import contexts
from lamina_runtime.container.state import ConflictError, Container, Record
from lamina_runtime.errors import LaminaError, NotFoundError, UsageError
from lamina_runtime.oci import json
from lamina_runtime.oci.errors import OciError
from lamina_runtime.store import files
from lamina_runtime.value import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lamina_runtime.container.wishes import Wishes
    from lamina_runtime.oci.digest import Digest

# of a name, as docker has it: the first letter, and what may follow
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_INNER = _FIRST | frozenset("_.-")
LONGEST_NAME = 250  # a file's name
TRIES = 64  # at names of two words, before a number helps
_DIGITS = frozenset("0123456789abcdef")  # of an id


class DamagedError(LaminaError):
    """A record cannot be read."""


class Containers:
    """All containers of one user."""

    def __init__(self, data: Path, run: Path) -> None:
        self._data, self._run, self._names = data / "containers", run / "containers", data / "names"
        for path in (self._data, self._names, run, self._run):
            try:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as exc:  # who only looks at images needs none
                if exc.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                    raise
            else:
                if path in (run, self._run):  # below /tmp, where a session has no place of its own
                    files.private_directory(path)

    def create(
        self,
        *,
        image: Digest,
        image_name: str,
        created: str,
        wishes: Wishes,
        command: tuple[str, ...] = (),
        name: str = "",
        fill: Callable[[Path], None] = lambda _: None,
    ) -> Container:
        """Make a container; ConflictError if the name is taken.  A name is found where none is given.

        `fill` makes what belongs into its directory before anybody sees it.
        """
        if name:
            _check(name)
        new = os.urandom(32).hex()
        data = self._data / new
        with contexts.ExitStack() as stack:
            with self._naming():  # so that it is ours before somebody takes it for debris
                data.mkdir(mode=0o700)
                stack.callback(os.close, _lock(data))
            try:
                fill(data)
                with self._naming():
                    record = Record(
                        new, name or self._invented(), image, image_name, created, wishes, command
                    )
                    self._take(record.name, new)
                    _keep(record, data)
            except BaseException:
                with contexts.suppress(OSError):
                    files.remove_all(data)
                self._release(new)
                raise
        return Container(record, data, self._run / new)

    def rename(self, container: Container, name: str) -> None:
        """Give it another name; ConflictError if that is taken."""
        _check(name)
        with self._naming():
            old = self._load(container.id).record
            if name == old.name:
                raise UsageError("renaming a container with the same name as its current name")
            self._take(name, old.id)
            _keep(replace(old, name=name), container.data)
            files.remove(self._names / old.name)

    def change(self, container: Container, wishes: Wishes) -> None:
        """Keep other wishes; while it is the caller's turn (Container.turn)."""
        with self._naming():
            _keep(replace(self._load(container.id).record, wishes=wishes), container.data)

    def find(self, text: str) -> Container:
        """Return the container of a name, an id, or the beginning of one id only."""
        name = text.removeprefix("/")
        if _is_name(name) and (found := self._named(name)) is not None:
            return found
        matches = []
        if 0 < len(text) <= 64 and _DIGITS.issuperset(text):
            matches = [one for one in self._everything() if one.startswith(text) and self._is_there(one)]
        if len(matches) > 1:
            raise UsageError(f"more than one container begins with {text}")
        if not matches:
            raise NotFoundError(f"no such container: {text}")
        return self._load(matches[0])

    def list(self) -> list[Container]:
        """Return all, the newest first."""
        found = []
        for name in self._everything():
            with contexts.suppress(NotFoundError):  # being made, or removed
                found.append(self._load(name))
        return sorted(found, key=lambda one: one.record.created, reverse=True)

    def forget(self, container: Container, clear: Callable[[Path], None] = lambda _: None) -> None:
        """Remove all that is known of a container, which must not run and have nothing mounted.

        `clear` removes what is in its directory and is not a plain file of ours.  Called while it is
        the caller's turn (Container.turn).
        """
        files.remove(container.data / "record.json")  # from here on it is debris
        self._clear(container.id, clear)

    def clear_debris(self, clear: Callable[[Path], None] = lambda _: None) -> None:
        """Remove what killed commands left."""
        for name in self._everything():
            if self._is_there(name):
                continue
            with contexts.ExitStack() as stack:
                try:
                    with self._naming():
                        stack.callback(os.close, _lock(self._data / name))
                except (BlockingIOError, FileNotFoundError):  # being made, or removed, at this moment
                    continue
                if not self._is_there(name):
                    self._clear(name, clear)

    def _clear(self, name: str, clear: Callable[[Path], None]) -> None:
        data = self._data / name
        clear(data)
        for path in (self._run / name, data):
            with contexts.suppress(OSError):
                files.remove_all(path)
        self._release(name)

    def _is_there(self, name: str) -> bool:
        try:
            return (self._data / name / "record.json").stat().st_size > 0
        except (FileNotFoundError, NotADirectoryError):
            return False

    @contexts.contextmanager
    def _naming(self) -> Iterator[None]:
        """Keep others from changing names."""
        fd = os.open(self._names, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _everything(self) -> builtins.list[str]:
        try:
            return os.listdir(self._data)
        except (FileNotFoundError, PermissionError):
            return []

    def _named(self, name: str) -> Container | None:
        try:
            found = self._load(os.readlink(self._names / name))
        except (OSError, NotFoundError):
            return None
        return found if found.record.name == name else None

    def _load(self, name: str) -> Container:
        if len(name) != 64 or not _DIGITS.issuperset(name):
            raise NotFoundError(f"no such container: {name[:12]}")
        data = self._data / name
        try:
            raw = (data / "record.json").read_bytes()
            if not raw:  # of a container that was not to outlive the power
                raise FileNotFoundError
            record = Record.from_json(json.load(raw, "record"))
        except FileNotFoundError:
            raise NotFoundError(f"no such container: {name[:12]}") from None
        except (OciError, ValueError, KeyError, TypeError, AttributeError):
            raise DamagedError(
                f"container {name[:12]}: its record is damaged", hint=f"remove {data} to be rid of it"
            ) from None
        return Container(record, data, self._run / name)

    def _take(self, name: str, owner: str) -> None:
        """Point a name at an id; only while `_naming`."""
        holder = self._named(name)
        if holder is not None:
            raise ConflictError(
                f'the container name "{name}" is already in use by container "{holder.id[:12]}"',
                hint="remove or rename that container, or choose another name",
            )
        files.remove(self._names / name)  # left by a command that was killed
        os.symlink(owner, self._names / name)

    def _invented(self) -> str:
        for _ in range(TRIES):
            manner, layer = os.urandom(2)
            name = f"{_MANNERS[manner % len(_MANNERS)]}_{_LAYERS[layer % len(_LAYERS)]}"
            if self._named(name) is None:
                return name
        return f"{name}_{os.urandom(4).hex()}"

    def _release(self, owner: str) -> None:
        for name in os.listdir(self._names):
            with contexts.suppress(FileNotFoundError):
                if os.readlink(self._names / name) == owner:
                    files.remove(self._names / name)


def _is_name(text: str) -> bool:
    return len(text) > 1 and text[0] in _FIRST and _INNER.issuperset(text)


def _check(name: str) -> None:
    if not _is_name(name) or len(name) > LONGEST_NAME:
        raise UsageError(f"invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")


def _lock(data: Path) -> int:
    """Take the lock that Container.turn takes; BlockingIOError where somebody has it."""
    fd = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise
    return fd


def _keep(record: Record, data: Path) -> None:
    durable = not record.wishes.auto_remove
    files.replace(data / "record.json", json.dump(record.to_json()), temporary=data, durable=durable)


_MANNERS = (
    "able amber ample bold brave bright brisk calm clear clever cool crisp deep eager early fair fine fond "
    "free fresh gentle glad golden grand green happy hardy keen kind light lively lucid mellow merry mild "
    "neat noble plain polite proud quick quiet ready sharp silent silver sleek smart smooth snug solid "
    "steady still strong sunny swift tidy true vivid warm wise witty"
).split()
_LAYERS = (
    "agate amber basalt beryl birch cedar chalk cherry clay coal cobalt copper coral cork crust dune ebony "
    "elm felt flint foil fossil garnet glacier gneiss granite gravel gypsum hazel ivory jade jasper larch "
    "lava leaf loam loess maple marble marl mica moss oak onyx opal peat pearl pebble pine quartz reed ruby "
    "sand shale silk silt slate snow spruce strata topaz tuff varve veneer walnut willow"
).split()
