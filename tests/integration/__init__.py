"""Integration: the programs that give a mount program its work.

podman and buildah of Debian, as root and rootless, with `mount_program` set to our command;
mount(8) and fstab lines; databases and package managers on the merged view.  Everything lies
in directories of its own (`engines`), nothing of the machine's own container storage is used.
"""
