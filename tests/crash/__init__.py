"""Trouble: kill -9, failing system calls, full and read-only uppers, SIGTERM.

Theory.  An operation on a union is a sequence of system calls of its server.  `trace` records
which ones change something (strace, attached to the running server), so that every instant
between two of them has a name: `renameat2#2` is "just before the second renameat2".  `trial`
does the operation again on fresh layers and has strace kill the server, or fail the call, at
that instant.  Afterwards a new mount must show the old tree or the new one and nothing else,
the workdir must be clean, and kernel overlayfs must show the same on that upper.

`python -m tests.crash SCENE… --how kill|EIO|ENOSPC --driver NAME` does all instants of the
scenes in `scenes` and prints what is wrong.
"""
