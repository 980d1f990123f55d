"""The flags of `run` and `create`, in docker's words."""

from __future__ import annotations

from lamina_runtime.cli import health_flags, limit_flags, network_flags
from lamina_runtime.cli.common import PLATFORM
from lamina_runtime.cli.flags import LIST, NUMBER, STRING, Flag

FLAGS = (
    *network_flags.FLAGS,
    Flag("attach", "Attach to STDIN, STDOUT or STDERR", short="a", kind=LIST),
    Flag("cap-add", "Add Linux capabilities", kind=LIST),
    Flag("cap-drop", "Drop Linux capabilities", kind=LIST),
    Flag("cidfile", "Write the container ID to the file", kind=STRING),
    Flag("device", "Add a host device to the container", kind=LIST),
    Flag("domainname", "Container NIS domain name", kind=STRING),
    Flag("entrypoint", "Overwrite the default ENTRYPOINT of the image", kind=STRING),
    Flag("env", "Set environment variables", short="e", kind=LIST),
    Flag("env-file", "Read in a file of environment variables", kind=LIST),
    *health_flags.FLAGS,
    Flag("init", "Run an init inside the container that forwards signals and reaps processes"),
    Flag("interactive", "Keep STDIN open even if not attached", short="i"),
    Flag("ipc", 'IPC mode to use ("host", "private")', kind=STRING),
    *limit_flags.FLAGS,
    Flag("label", "Set meta data on a container", short="l", kind=LIST),
    Flag("label-file", "Read in a line delimited file of labels", kind=LIST),
    Flag("mount", "Attach a filesystem mount to the container", kind=LIST, word="mount"),
    Flag("name", "Assign a name to the container", kind=STRING),
    Flag("oom-score-adj", "Tune host's OOM preferences (-1000 to 1000)", kind=NUMBER),
    Flag("pid", 'PID namespace to use ("host", "private")', kind=STRING),
    PLATFORM,
    Flag("privileged", "Give extended privileges to the container"),
    Flag("pull", 'Pull image before running ("always", "missing", "never")', kind=STRING, default="missing"),
    Flag("quiet", "Suppress the pull output", short="q"),
    Flag("read-only", "Mount the container's root filesystem as read only"),
    Flag("restart", "Restart policy to apply when a container exits", kind=STRING, default="no"),
    Flag("rm", "Automatically remove the container when it exits"),
    Flag(
        "root-emulation",
        'With one id only, what becomes of owners that programs wish ("play": nothing, '
        '"record": they are shown and committed)',
        kind=STRING,
        default="play",
    ),
    Flag("runtime", "OCI runtime to use for this container, by name or path", kind=STRING),
    Flag("security-opt", "Security options", kind=LIST),
    Flag("shm-size", "Size of /dev/shm", kind=STRING, word="bytes"),
    Flag("stop-signal", "Signal to stop the container", kind=STRING),
    Flag("stop-timeout", "Timeout (in seconds) to stop a container", kind=NUMBER),
    Flag("sysctl", "Sysctl options", kind=LIST),
    Flag("tmpfs", "Mount a tmpfs directory", kind=LIST),
    Flag("tty", "Allocate a pseudo-TTY", short="t"),
    Flag("ulimit", "Ulimit options", kind=LIST),
    Flag("user", "Username or UID (format: <name|uid>[:<group|gid>])", short="u", kind=STRING),
    Flag("uts", 'UTS namespace to use ("host", "private")', kind=STRING),
    Flag("volume", "Bind mount a volume", short="v", kind=LIST),
    Flag("volumes-from", "Mount volumes from the specified container(s)", kind=LIST),
    Flag("workdir", "Working directory inside the container", short="w", kind=STRING),
)
RUN_ONLY = (
    Flag("detach", "Run container in background and print container ID", short="d"),
    Flag("detach-keys", "Override the key sequence for detaching a container", kind=STRING),
    Flag("sig-proxy", "Proxy received signals to the process", default=True),
)
