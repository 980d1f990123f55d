"""The statuses of the command `lamina`, each with what it says.

Verbs that docker has end as docker's do: 1 for whatever could not be done, 125 for a flag that is
not one, and for run and exec what is said below.  Our own verbs say more: 2 to 5.
"""

OK = 0  # done
FAILURE = 1  # it could not be done; stderr says why
USAGE = 2  # the command line makes no sense
NOT_FOUND = 3  # what was named does not exist
INTEGRITY = 4  # content is not what its digest says
NETWORK = 5  # the network or a registry did not answer as it should
FLAG = 125  # of docker's verbs: an unknown flag, or a value that it cannot have
CONTAINER = 125  # of run and exec: the failure is ours, not the container's
NOT_RUN = 126  # of run and exec: the program cannot be run
NOT_INSIDE = 127  # of run and exec: there is no such program in the container
INTERRUPTED = 130  # Ctrl-C, as shells count signals: 128 + SIGINT
BROKEN_PIPE = 141  # the reader of stdout went away: 128 + SIGPIPE
