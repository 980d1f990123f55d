"""Where the keeper of a network enters Python: see network.keeping.

Run as a file, without site, like start.py.
"""

import posix
import sys

sys.path.insert(0, __file__.rpartition("/")[0].rpartition("/")[0])

from lamina_runtime.network.keeping import main

posix._exit(main(sys.argv[1]))  # noqa: SLF001 - taking an interpreter down costs milliseconds
