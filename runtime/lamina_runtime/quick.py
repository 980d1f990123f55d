"""What the interpreter has in C, without the Python that the standard library puts around it.

Theory.  `signal` and `socket` make enums of all their numbers and load selectors, collections and more
for that: a tenth of what starting a container may take.  The functions are those of the modules in C,
which these names are here; type checkers see the usual ones.  A socket made here is closed by hand: it
is no context manager.  `cache` is functools', for functions of few arguments.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as signal
    import socket as socket
    from functools import cache as cache
else:
    import _signal as signal
    import _socket as socket

    def cache(function):
        """Remember what a function gave for its arguments."""
        given = {}

        def remembered(*args):
            if args not in given:
                given[args] = function(*args)
            return given[args]

        remembered.__name__, remembered.__doc__ = function.__name__, function.__doc__
        return remembered


__all__ = ["cache", "signal", "socket"]
