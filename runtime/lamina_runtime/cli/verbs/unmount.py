"""`lamina unmount`."""

from __future__ import annotations

from lamina_runtime.cli import common, output
from lamina_runtime.cli.flags import Command, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("unmount", "umount", "image unmount", "image umount"),
    "[OPTIONS] DIR|IMAGE [DIR|IMAGE...]",
    "Unmount images",
    flags=(
        Flag("all", "Unmount everything that 'lamina mount' lists", short="a"),
        Flag("lazy", "Take it out of sight now, end it when nobody uses it any more", short="l"),
        Flag("quiet", "Do not print what was unmounted", short="q"),
        Flag("remove-upper", "Also remove a named upper, with all that was written"),
    ),
    arguments=(0, 1 << 30),
    own=True,
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Unmount by directory, by image, or all."""
    from lamina_runtime.engine import mounting, mounts, uppers
    from lamina_runtime.errors import UsageError
    from lamina_runtime.fspath import Path

    if bool(parsed.arguments) is parsed.switch("all"):
        raise UsageError("'lamina unmount' requires a directory, an image, or --all")
    with mounts.locked(engine) as top:
        mounting.tidy(engine, top)

    def unmount(mount: mounts.Mount) -> None:
        mounting.unmount(engine, mount, lazy=parsed.switch("lazy"))
        if parsed.switch("remove_upper") and mount.upper and not mount.fresh:
            uppers.remove(Path(mount.upper))
        if not parsed.switch("quiet"):
            output.line(mount.place)

    if parsed.switch("all"):
        places = {mount.place: mount for mount in mounts.active(engine)}
        return common.each(sorted(places, reverse=True), lambda place: unmount(places[place]), own=True)

    def by_word(word: str) -> None:
        for mount in mounting.meant(engine, [word]):
            unmount(mount)

    return common.each(parsed.arguments, by_word, own=True)
