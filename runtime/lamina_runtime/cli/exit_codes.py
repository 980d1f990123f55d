"""The statuses of the command `lamina`, each with what it says."""

OK = 0  # done
FAILURE = 1  # it could not be done; stderr says why
USAGE = 2  # the command line makes no sense
NOT_FOUND = 3  # what was named does not exist
INTEGRITY = 4  # content is not what its digest says
NETWORK = 5  # the network or a registry did not answer as it should
CONTAINER = 125  # of run and exec: the failure is ours, not the container's
NOT_RUN = 126  # of run and exec: the program cannot be run
NOT_INSIDE = 127  # of run and exec: there is no such program in the container
INTERRUPTED = 130  # Ctrl-C, as shells count signals: 128 + SIGINT
BROKEN_PIPE = 141  # the reader of stdout went away: 128 + SIGPIPE
