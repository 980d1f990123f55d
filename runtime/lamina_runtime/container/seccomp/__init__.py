"""System call filters: which calls a container may make, as a program for the kernel's BPF machine.

Theory.  Three steps, each pure:

  1. A profile, ours (`default`) or a file of docker's format (`profile`), is resolved for the
     machine and the container's capabilities into what the runtime-spec calls linux.seccomp: names
     of calls, conditions on arguments, actions.  It is kept in the bundle, so that crun and runc
     filter alike.  Where a container has one id only, `emulation` adds calls that do nothing.
  2. `tables` turns names into numbers, for each architecture that a process of this machine can
     change to by execve(2).
  3. `assembler` turns the rules into struct sock_filter[], which the launcher installs last.
"""
