"""Give a process that was started without site its ordinary module path back.

The installed script starts Python with -I -S and our packages first, which is fastest for what
is needed at once.  Everybody else's packages come after the standard library, as usual, and
may depend on .pth files.
"""

import sys


def complete() -> None:
    """Do what site does at start, if it was left out; again is fine."""
    if sys.flags.no_site and "site" not in sys.modules:
        sys.path.append(sys.path.pop(0))
        import site

        site.main()
