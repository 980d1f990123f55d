"""Say what went wrong: on stderr while there is one, in the system log afterwards."""

import posix

NAME = "lamina-unionfs"


def fail(message: str) -> None:
    """Write the one line that the user reads."""
    line = f"{NAME}: {message}\n".encode("utf-8", "surrogateescape")
    posix.write(2, line)


def note(message: str, *, detached: bool) -> None:
    """Record an event in a server's life."""
    if not detached:
        fail(message)
        return
    import syslog

    syslog.openlog(NAME, syslog.LOG_PID, syslog.LOG_DAEMON)
    syslog.syslog(syslog.LOG_ERR, message)


def configure_logging(*, detached: bool, debug: bool) -> None:
    """Send the slow path's log records to where a reader finds them."""
    import logging
    import os
    import sys
    from logging.handlers import SysLogHandler

    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if detached and os.path.exists("/dev/log"):
        handler = SysLogHandler("/dev/log", SysLogHandler.LOG_DAEMON)
    handler.setFormatter(logging.Formatter(f"{NAME}: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.DEBUG if debug else logging.WARNING)
