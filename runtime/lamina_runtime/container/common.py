"""Words that the bundle, the plan and those who look at containers share; they cost nothing to import."""

from __future__ import annotations

from lamina_runtime.value import value

USER = "io.lamina.user"  # the annotation of a user whom only the container's own files know
BELOW = "ioLaminaBelow"  # of a mount: the directory that links of its source must not lead out of
DEVICES = {  # devices.txt of the kernel
    "null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0),
}  # fmt: skip
NAMESPACES = ("mount", "pid", "ipc", "uts", "network", "cgroup")  # that a container gets where it can


@value
class Map:
    """A range of ids: in the container, on the host, how many."""

    inside: int
    outside: int
    count: int
