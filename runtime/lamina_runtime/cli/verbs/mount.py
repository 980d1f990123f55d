"""`lamina mount`."""

from __future__ import annotations

from lamina_runtime.cli import common, output, table
from lamina_runtime.cli.flags import LIST, STRING, Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine
    from lamina_runtime.engine.drivers import Driver

COMMAND = Command(
    ("mount", "image mount"),
    "[OPTIONS] [IMAGE DIR]",
    "Mount an image as a directory, or list mounts",
    flags=(
        common.FORMAT,
        Flag("kernel", "As root: let the kernel's EROFS do it"),
        common.NO_TRUNC,
        Flag("options", "Further options of the driver (docs/cli.md)", short="o", kind=LIST),
        Flag("rw", "Mount writable; what is written goes to an upper, the image stays as it is"),
        Flag("squash", "Show all files as the caller's"),
        Flag(
            "upper",
            "With --rw: keep what is written under this name (default: until it is unmounted)",
            kind=STRING,
            word="name",
        ),
        Flag("quiet", "List directories only", short="q"),
    ),
    arguments=(0, 2),
    own=True,
)
HEADINGS = {
    "Mountpoint": "MOUNTPOINT",
    "Image": "IMAGE",
    "ID": "IMAGE ID",
    "Mode": "MODE",
    "Driver": "DRIVER",
    "Upper": "UPPER",
}


def run(parsed: Parsed, engine: Engine) -> int:
    """Mount, or list what is mounted."""
    from lamina_runtime.errors import UsageError

    if not parsed.arguments:
        return _list(parsed, engine)
    if len(parsed.arguments) != 2:
        raise UsageError("'lamina mount' requires an image and a directory, or nothing to list mounts")
    if parsed.switch("kernel"):
        return _mount(parsed, engine, None)
    from lamina_runtime.engine import drivers

    with drivers.started() as driver:  # it comes up while we import the rest
        return _mount(parsed, engine, driver)


def _mount(parsed: Parsed, engine: Engine, driver: Driver | None) -> int:
    from lamina_runtime.engine import mounting

    wish = mounting.Wish(
        writable=parsed.switch("rw"),
        upper=parsed.text("upper"),
        squash=parsed.switch("squash"),
        kernel=parsed.switch("kernel"),
        options=tuple(parsed.several("options")),
    )
    mounting.mount(engine, parsed.arguments[0], parsed.arguments[1], wish, driver=driver)
    return 0


def _list(parsed: Parsed, engine: Engine) -> int:
    from lamina_runtime.engine import mounts

    found = mounts.active(engine)
    if parsed.switch("quiet"):
        for mount in found:
            output.line(mount.place)
        return 0
    rows = [
        {
            "Mountpoint": mount.place,
            "Image": mount.name,
            "ID": mount.image_id if parsed.switch("no_trunc") else mount.image_id.partition(":")[2][:12],
            "Mode": mount.mode,
            "Driver": mount.driver,
            "Upper": "" if not mount.upper or mount.fresh else mount.upper.rpartition("/")[2],
        }
        for mount in found
    ]
    table.show(rows, table.Columns(HEADINGS, tuple(HEADINGS)), parsed.text("format"))
    return 0
