"""Where the forwarder of ports enters Python: see network.forwarding.

Run as a file, without site, like start.py.
"""

import sys

sys.path.insert(0, __file__.rpartition("/")[0].rpartition("/")[0])

from lamina_unionfs.complete_path import complete

complete()

from lamina_runtime.network.forwarding import main  # noqa: E402 - the path comes first

sys.exit(main(sys.argv[1]))
