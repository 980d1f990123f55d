"""Measurements beside kernel overlayfs and fuse-overlayfs: `lamina bench`.

One sample of each target is taken in turn, so that what disturbs the machine disturbs all of them,
and medians are compared within the run.

    command     the command line
    arguments   from words to a plan
    enclosure   a mount namespace of our own; for a plain user a user namespace too
    mounted     what is mounted
    columns     what is measured: targets and how each is mounted
    rows        the measurements, with the goals they are held to
    fixtures    the trees they work on, made once; `projects` the real ones
    bed         the file systems of one sample
    placements  which CPUs, and beside what
    mounting    a target's union; `server` its process seen from outside
    client      the C program that does the work
    sampling    the interleaved runs
    results     a finished run and the arithmetic on it; `stored` runs in files
    report      tables; `compare` two runs beside each other
    page        pictures: `plots`, `ratios`, `costs`, `looks`
"""
