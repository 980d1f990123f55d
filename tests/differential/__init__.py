"""Differential tests: the same random operations on kernel overlayfs and on our mount.

Theory.  Two *sides* mount the same immutable lowers, each with an upper and workdir of its own.
An *operation* is a plain tuple, so that a sequence can be printed, cut down and pasted into a
test.  `operations` carries it out on one side and turns what came of it into an *outcome* that
does not depend on the side (no inode numbers, no order of readdir).  `session` does this on both
sides, compares outcomes after every step and whole trees (`snapshot`) every few steps, and can
unmount, remount, and swap the uppers: then each driver goes on with what the other wrote.

Drawing random operations (`generate`), random layer stacks (`stacks`), cutting a failing
sequence down (`shrink`) and printing it (`report`) are apart from that, so that the hypothesis
machine and the fast soak driver (`python -m tests.differential.soak`) share everything else.

What kernel overlayfs does differently on purpose or by a documented limit is filtered in
`deviations`, with a reason each, and nowhere else.
"""
