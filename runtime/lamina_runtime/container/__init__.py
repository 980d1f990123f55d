"""Containers: what a bundle says becomes a plan, and the launcher (native/launch) carries it out.

Theory.  Three steps, each of which can be looked at alone:

  1. `bundle` makes a runtime-spec config.json from the image's configuration and the user's wishes;
     it is kept, and crun or runc could run it.
  2. `plan` turns a config.json into the launcher's records (native/launch/plan.h): pure, no system calls.
  3. `launch` starts the launcher with the plan and reads its one line of report.

The launcher stays as the container's monitor.  All else that is known of a container is in the files
of its directory (`state`), so that every command can be another process, and any may be killed.
"""
