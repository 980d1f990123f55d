"""The union core and the FUSE fast path, written in C, behind typed wrappers.

Theory.  `_core` is what cffi made of native/core.cdef.h; nothing outside this package
touches it.  A wrapper checks what C cannot (a NUL in a name), turns a negative errno into
OSError in one place (`errors.check`), and owns what C gave it until `close()`.

Modules: `core` and `server` are objects with a life, `verbs` is the core's vocabulary (one
function a request), `mount` attaches /dev/fuse to a directory.  The first three names are on
the way from exec to a usable mount and therefore import nothing that is slow to import.

All functions here are plain and may block; the caller decides whether to use a thread.
"""
