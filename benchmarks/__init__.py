"""Measurements beside kernel overlayfs and fuse-overlayfs.

`python -m benchmarks` (or `make bench`) takes one sample of each target in turn, so that what
disturbs the machine disturbs all of them, and compares medians within the run.

    columns   what is measured: targets and how each is mounted
    rows      the measurements, with the goals they are held to
    fixtures  the trees they work on, made once
    bed       the file systems of one sample
    mounting  a target's union, and its server
    client    the C program that does the work
    sampling  the interleaved runs
    report    medians and ratios, as text and as JSON
"""
