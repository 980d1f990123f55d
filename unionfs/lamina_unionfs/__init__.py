"""The union file system driver: options, layers, the life of a mount, the slow path.

Theory.  One process serves one mount.  The native engine answers requests in C; what C does
not take goes to pyfuse3 in a thread of the same process, imported when the first such request
comes.  With `-o engine=pyfuse3` the slow path serves everything.

Everything that runs between exec and a usable mount (cli, options, layers, mount, session,
daemon) imports nothing that is slow to import; tests/architecture measures it.

The Python API is `lamina_unionfs.mount(...)`, which starts the command and waits for it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_unionfs.api import Mount, MountError, mount

__all__ = ["Mount", "MountError", "__version__", "mount"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lamina_unionfs import api

    return getattr(api, name)
