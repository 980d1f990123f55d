"""Where the installed script enters Python, which runs without site: find our own packages.

Run as a file, so that no import machinery has to look for it.  Where what we depend on is
installed elsewhere, the first import that misses something completes the module path.
"""

import gc
import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

sys.path.insert(0, __file__.rpartition("/")[0].rpartition("/")[0])

if None in (sys.stdin, sys.stdout, sys.stderr):
    from lamina_unionfs import standard

    standard.complete()


_NOT_OURS = sys.stdlib_module_names | {"org"}  # Jython's, which `copy` asks for


class _Completing:
    """The last finder: gives the process its ordinary module path back, and looks there."""

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Answer for a module that the path so far does not have.

        The standard library asks for parts of itself that other systems have, and does without them.
        """
        if name.partition(".")[0] in _NOT_OURS:
            return None
        sys.meta_path.remove(self)
        from importlib.machinery import PathFinder

        from lamina_unionfs.complete_path import complete

        complete()
        return PathFinder.find_spec(name, path, target)


def _keep_to_ourselves() -> None:
    """Keep what our caller left open from all whom we start, containers above all."""
    try:
        names = posix.listdir("/proc/self/fd")
    except OSError:  # no /proc of our own
        names = [str(number) for number in range(1024)]
    for number in map(int, names):
        if number > 2:
            try:
                posix.set_inheritable(number, False)  # noqa: FBT003 - posix takes it no other way
            except OSError:  # the listing's own, closed since
                continue


_keep_to_ourselves()
sys.meta_path.append(_Completing())

gc.set_threshold(50_000, 20, 20)  # what is imported stays: looking through it takes a tenth of a listing

from lamina_runtime.cli.main import entered  # noqa: E402 - the path comes first

posix._exit(entered(sys.argv[1:]))  # taking an interpreter down costs milliseconds
