"""Which verbs there are: their words, the module behind them, one line of what they do.

Kept apart from the modules so that a command imports one of them only.
"""

from __future__ import annotations

from lamina_runtime.cli.flags import FlagError
from lamina_runtime.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from lamina_runtime.cli.flags import Command, Parsed
    from lamina_runtime.engine.context import Engine

    class Module(Protocol):
        """What a module below `verbs` offers."""

        COMMAND: Command

        def run(self, parsed: Parsed, engine: Engine) -> int:
            """Carry the verb out; return the status."""


class Verb:
    """A verb under one of its spellings."""

    __slots__ = ("module", "name", "shown", "summary")

    def __init__(self, name: str, module: str, summary: str, *, shown: bool = True) -> None:
        self.name, self.module, self.summary, self.shown = name, module, summary, shown


GROUPS = {
    "container": "Manage containers",
    "image": "Manage images",
    "network": "Manage networks",
    "store": "Look after the image store",
    "system": "Disk usage and cleaning up",
    "volume": "Manage volumes",
}

_TABLE = """
run                     container_run         Create and run a new container from an image
create                  container_create      Create a new container
start                   container_start       Start one or more stopped containers
stop                    container_stop        Stop one or more running containers
restart                 container_restart     Restart one or more containers
kill                    container_kill        Kill one or more running containers
pause                   container_pause       Pause all processes within one or more containers
unpause                 container_unpause     Unpause all processes within one or more containers
wait                    container_wait        Block until containers stop, then print their exit codes
exec                    container_exec        Execute a command in a running container
attach                  container_attach      Attach local streams to a running container
logs                    container_logs        Fetch the logs of a container
ps                      container_ls          List containers
top                     container_top         Display the running processes of a container
stats                   container_stats       Display resource usage of containers
update                  container_update      Change the limits or the restart policy of containers
port                    container_port        List port mappings of a container
rename                  container_rename      Rename a container
rm                      container_rm          Remove one or more containers
images                  image_ls              List images
pull                    pull                  Download an image from a registry
push                    push                  Upload an image to a registry
search                  search                Search a registry for images
login                   login                 Authenticate to a registry
logout                  logout                Forget a registry's credentials
load                    load                  Load images from an archive, an OCI layout or STDIN
save                    save                  Save images to an archive (streamed to STDOUT by default)
import                  import_               Make an image of a tarball's file system
export                  export                Write a container's or an image's file system as a tar archive
tag                     tag                   Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
rmi                     image_rm              Remove one or more images
inspect                 inspect_any           Return low-level information on containers and images
history                 history               Show the history of an image
mount                   mount                 Mount an image as a directory, or list mounts
unmount                 unmount               Unmount images
why                     why                   Show which layer a path of an image comes from
diff                    diff                  Show what a container changed, or what differs between images
commit                  commit                Create a new image from a container's changes
cp                      cp                    Copy files/folders between a container and the local filesystem
bench                   bench                 Measure against kernel overlayfs, fuse-overlayfs and podman
unshare                 unshare               Run a command in the user namespace that containers get
doctor                  doctor                Try what containers need of this host
info                    info                  Display system-wide information
version                 version               Show version information
image ls                image_ls              List images
image list              image_ls              -
image inspect           inspect               Display detailed information on one or more images
image history           history               Show the history of an image
image tag               tag                   Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
image rm                image_rm              Remove one or more images
image remove            image_rm              -
image prune             image_prune           Remove unused images
image pull              pull                  Download an image from a registry
image push              push                  Upload an image to a registry
image save              save                  Save images to an archive (streamed to STDOUT by default)
image load              load                  Load images from an archive, an OCI layout or STDIN
image import            import_               Make an image of a tarball's file system
image export            export                Write an image's merged file system as a tar archive
image mount             mount                 Mount an image as a directory, or list mounts
image unmount           unmount               Unmount images
image umount            unmount               -
image diff              diff                  Show what differs between two images or layers
container commit        commit                Create a new image from a container's changes
container cp            cp                    Copy files/folders between a container and the local filesystem
container diff          diff                  Show what a container changed
container export        export                Write the file system of a container as a tar archive
image verify            verify                Check images against their digests
umount                  unmount               -
store check             store_check           Check the store against its checksums
store gc                store_gc              Remove what no image needs
store dedup             store_dedup           Keep content that is in several layers once
system df               system_df             Show disk usage
system prune            system_prune          Remove unused data
system info             info                  Display system-wide information
container run           container_run         Create and run a new container from an image
container create        container_create      Create a new container
container start         container_start       Start one or more stopped containers
container stop          container_stop        Stop one or more running containers
container restart       container_restart     Restart one or more containers
container kill          container_kill        Kill one or more running containers
container pause         container_pause       Pause all processes within one or more containers
container unpause       container_unpause     Unpause all processes within one or more containers
container wait          container_wait        Block until containers stop, then print their exit codes
container exec          container_exec        Execute a command in a running container
container attach        container_attach      Attach local streams to a running container
container logs          container_logs        Fetch the logs of a container
container ls            container_ls          List containers
container top           container_top         Display the running processes of a container
container stats         container_stats       Display resource usage of containers
container update        container_update      Change the limits or the restart policy of containers
container port          container_port        List port mappings of a container
container rename        container_rename      Rename a container
container rm            container_rm          Remove one or more containers
container list          container_ls          -
container ps            container_ls          -
container remove        container_rm          -
container inspect       container_inspect     Display detailed information on one or more containers
container prune         container_prune       Remove all stopped containers
volume create           volume_create         Create a volume
volume ls               volume_ls             List volumes
volume list             volume_ls             -
volume inspect          volume_inspect        Display detailed information on one or more volumes
volume rm               volume_rm             Remove one or more volumes
volume remove           volume_rm             -
volume prune            volume_prune          Remove unused local volumes
network create          network_create        Create a network
network ls              network_ls            List networks
network list            network_ls            -
network inspect         network_inspect       Display detailed information on one or more networks
network connect         network_connect       Connect a container to a network
network disconnect      network_disconnect    Disconnect a container from a network
network rm              network_rm            Remove one or more networks
network remove          network_rm            -
network prune           network_prune         Remove all unused networks
container ended         container_ended       -
"""


def _read(table: str) -> dict[str, Verb]:
    verbs = {}
    for row in table.strip().splitlines():
        name, module, summary = row[:24].rstrip(), row[24:46].rstrip(), row[46:]
        verbs[name] = Verb(name, module, summary, shown=summary != "-")
    return verbs


VERBS = _read(_TABLE)


def find(words: Sequence[str]) -> tuple[Verb | None, list[str]]:
    """Return the verb that a command line begins with, and the words behind it.

    None where no verb was named: then help on the group, or on everything, is wanted.
    """
    if not words:
        return None, []
    if words[0] in GROUPS:
        if len(words) == 1 or words[1] in ("-h", "--help"):
            return None, []
        name = f"{words[0]} {words[1]}"
        if name in VERBS:
            return VERBS[name], list(words[2:])
        if words[1].startswith("-"):
            raise FlagError(f"unknown flag: lamina {name}")
        raise UsageError(f"unknown command: lamina {name}")
    if words[0] in VERBS:
        return VERBS[words[0]], list(words[1:])
    raise UsageError(f"unknown command: lamina {words[0]}")


def group(name: str) -> list[Verb]:
    """Return the verbs of a group; of no group for ""."""
    prefix = f"{name} " if name else ""
    return [verb for verb in VERBS.values() if verb.shown and verb.name.startswith(prefix)
            and verb.name.count(" ") == prefix.count(" ")]  # fmt: skip


def load(verb: Verb) -> Module:
    """Import the module behind a verb."""
    name = f"lamina_runtime.cli.verbs.{verb.module}"
    __import__(name)
    import sys

    module: Module = sys.modules[name]
    return module
