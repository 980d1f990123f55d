"""One run of the command: where its images are, opened when they are needed."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from lamina_runtime.container.collection import Containers
    from lamina_runtime.container.ids import Ids
    from lamina_runtime.path import Directories
    from lamina_runtime.store.store import Store

ROOT_VARIABLE = "LAMINA_ROOT"


class Engine:
    """What verbs work on; cheap to make, opens the store at its first use."""

    def __init__(self, root: str = "") -> None:
        self._named = root or os.environ.get(ROOT_VARIABLE, "")
        self._store: Store | None = None
        self._ids: Ids | None = None

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store = None

    @property
    def directories(self) -> Directories:
        """The user's places; --root or LAMINA_ROOT replaces the one for data."""
        from lamina_runtime.fspath import Path
        from lamina_runtime.path import directories, user_id
        from lamina_runtime.value import replace

        usual = directories(os.environ, uid=user_id())
        return replace(usual, data=Path(self._named).absolute()) if self._named else usual

    @property
    def root(self) -> Path:
        """Where images and uppers are kept."""
        return self.directories.data

    @property
    def ids(self) -> Ids:
        """The ids that this user's containers have on this host."""
        if self._ids is None:
            from lamina_runtime.container import ids

            self._ids = ids.choose(os.geteuid(), os.getegid(), doubts=self.directories.run / ids.DOUBTS)
        return self._ids

    def doubt_ids(self) -> None:
        """Do without subordinate ids from now on, until their configuration changes."""
        from lamina_runtime.container import ids

        self._ids = ids.doubt(os.geteuid(), os.getegid(), self.directories.run / ids.DOUBTS)

    @property
    def containers(self) -> Containers:
        """The user's containers."""
        from lamina_runtime.container.collection import Containers

        return Containers(self.root, self.directories.run)

    @property
    def store(self) -> Store:
        """The image store."""
        if self._store is None:
            from lamina_runtime.store import Store

            self._store = Store.open(self.root / "store")
        return self._store
