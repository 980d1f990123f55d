"""`lamina ps`, `lamina container ls`."""

from __future__ import annotations

from lamina_runtime.cli import common, human, output, table
from lamina_runtime.cli.flags import NUMBER, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine import container_listing
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("ps", "container ls", "container list", "container ps"),
    "[OPTIONS]",
    "List containers",
    flags=(
        Flag("all", "Show all containers (default shows just running)", short="a"),
        common.FILTER,
        common.FORMAT,
        Flag(
            "last", "Show n last created containers (includes all states)", short="n", kind=NUMBER, default=-1
        ),
        Flag("latest", "Show the latest created container (includes all states)", short="l"),
        common.NO_TRUNC,
        Flag("quiet", "Only display container IDs", short="q"),
        Flag("size", "Display total file sizes", short="s"),
    ),
    details="Filters: id, name, label, status, exited, ancestor, before, since, network, volume, health, "
    "restart-policy, should-start-on-boot",
)
HEADINGS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Names": "NAMES",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Pid": "PID",
}
PLAIN = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
COMMAND_WIDTH = 20


def run(parsed: Parsed, engine: Engine) -> int:
    """Print the containers."""
    from lamina_runtime.engine import container_listing

    count = 1 if parsed.switch("latest") else parsed.number("last")
    found = container_listing.chosen(
        engine, parsed.several("filter"), every=parsed.switch("all") or count > 0, count=count
    )
    full = parsed.switch("no_trunc")
    form = parsed.text("format")
    if parsed.switch("quiet") and not form:
        for one in found:
            output.line(one.container.id if full else one.container.id[:12])
        return 0
    sizes = parsed.switch("size") or ".Size" in form
    rows = [fields(engine, one, full=full, sizes=sizes) for one in found]
    plain = (*PLAIN, "Size") if parsed.switch("size") else PLAIN
    table.show(rows, table.Columns(HEADINGS, plain), form)
    return 0


def fields(engine: Engine, one: container_listing.Listed, *, full: bool, sizes: bool) -> dict[str, object]:
    """Return what a row of the table may show."""
    record = one.container.record
    command = " ".join(record.command)
    mounts = [mount.source or mount.target for mount in record.wishes.mounts if mount.kind != "tmpfs"]
    return {
        "ID": record.id if full else record.id[:12],
        "Image": record.image_name,
        "Command": f'"{command if full else human.shortened(command, COMMAND_WIDTH)}"',
        "CreatedAt": human.local(one.created),
        "RunningFor": human.since(one.created),
        "Ports": one.ports(engine),
        "State": one.state,
        "Status": words(one),
        "Size": human.size(one.size()) if sizes else "",
        "Names": record.name,
        "Labels": ",".join(f"{name}={value}" for name, value in sorted(record.wishes.labels.items())),
        "Mounts": ",".join(mount if full else human.shortened(mount, 15) for mount in mounts),
        "LocalVolumes": sum(mount.kind == "volume" for mount in record.wishes.mounts),
        "Networks": one.network,
        "Pid": one.status.pid,
    }


def words(one: container_listing.Listed) -> str:
    """Return a state in docker's words: "Up 2 minutes", "Exited (0) 3 hours ago"."""
    import time

    status = one.status
    if one.state == "created":
        return "Created"
    if one.state in ("exited", "restarting"):
        return f"{one.state.capitalize()} ({status.code}) {human.since(status.finished)}"
    if one.state == "starting":
        return "Starting"
    up = f"Up {human.duration(max(0.0, time.time() - status.started))}"
    if one.state == "paused":
        return f"{up} (Paused)"
    health = one.health
    return up if health == "none" else f"{up} ({'health: starting' if health == 'starting' else health})"
