"""Load: what a union must survive for hours, in a few seconds of `make test`.

`python -m tests.load SCENARIO --driver NAME` mounts a stack in a mount namespace of its own,
lets many processes work on it, and then looks at what is left: the server lives, its
descriptors and memory are bounded, trees are the same before and after a remount and for
kernel overlayfs on the same upper, and the workdir holds no leftover.  LAMINA_LOAD=20 in the
environment makes every scenario run twenty times as long.

Scenarios are in `scenarios`; `fsx` exercises one file against a model in memory, `stress` many
names by many processes and threads.
"""
