"""Where the installed script enters Python, which runs without site: find our own packages.

Run as a file, so that no import machinery has to look for it.  Where the C module's helpers
are installed elsewhere, start again the ordinary way.
"""

import posix
import sys

sys.path.insert(0, __file__.rpartition("/")[0].rpartition("/")[0])

if None in (sys.stdin, sys.stdout, sys.stderr):
    from lamina_unionfs import standard

    standard.complete()

try:
    import lamina_native.errors  # noqa: F401 - only to see whether the C module can be had
except ImportError:
    posix.execv(sys.executable, [sys.executable, "-m", "lamina_unionfs", *sys.argv[1:]])

from lamina_unionfs.cli import main

status = main(sys.argv[1:])
sys.stdout.flush()
posix._exit(status)  # nothing is left to do, and taking an interpreter down costs milliseconds
