"""`lamina system prune`."""

from __future__ import annotations

from lamina_runtime.cli import common, human, output
from lamina_runtime.cli.flags import LIST, Command, Flag
from lamina_runtime.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("system prune",),
    "[OPTIONS]",
    "Remove unused data",
    flags=(
        Flag("all", "Remove all unused images, not just dangling ones", short="a"),
        Flag("filter", 'Provide filter values (e.g. "label=<key>=<value>")', kind=LIST, word="filter"),
        Flag("force", "Do not prompt for confirmation", short="f"),
        Flag("volumes", "Prune anonymous volumes"),
    ),
)


def run(parsed: Parsed, engine: Engine) -> int:
    """Remove stopped containers, unused images, and everything else in the store that serves nobody."""
    from lamina_runtime.engine import container_filters, container_listing, mounting, mounts, removal

    everything, words = parsed.switch("all"), parsed.several("filter")
    if parsed.switch("volumes") and any(word.startswith("until") for word in words):
        raise UsageError('the "until" filter is not supported with "--volumes"')
    container_filters.for_pruning(words)
    which = "all images without at least one container or mount" if everything else "all dangling images"
    lines = ["all stopped containers", "all networks not used by at least one container"]
    lines += ["all anonymous volumes not used by at least one container"] if parsed.switch("volumes") else []
    lines += [which, "all layers and blobs that no image needs"]
    question = "".join(["WARNING! This will remove:\n", *(f"  - {line}\n" for line in lines)])
    if not common.confirmed(question, force=parsed.switch("force")):
        output.line("Total reclaimed space: 0B")
        return 0
    stopped, freed = container_listing.prune(engine, words)
    _tell("Containers", stopped)
    freed += _around(parsed, engine)
    with mounts.locked(engine) as top:
        mounting.tidy(engine, top)
    removed = removal.prune(engine, everything=everything, words=words)
    swept = removal.sweep(engine)
    if removed.untagged or removed.deleted or swept.layers:
        output.line("Deleted Images:")
        for name in removed.untagged:
            output.line(f"untagged: {name}")
        for name in (*removed.deleted, *swept.layers):
            output.line(f"deleted: {name}")
        output.line()
    output.line(f"Total reclaimed space: {human.size(freed + swept.bytes, digits=4)}")
    return 0


def _around(parsed: Parsed, engine: Engine) -> int:
    """Remove what containers have beside their files; return the bytes."""
    from lamina_runtime.engine import containers, network_listing, volumes

    words, freed = parsed.several("filter"), 0
    _tell("Networks", network_listing.prune(engine, words))
    if parsed.switch("volumes"):
        removed, freed = volumes.prune(engine, containers.containers(engine), words, everything=False)
        _tell("Volumes", removed)
    return freed


def _tell(what: str, names: list[str]) -> None:
    if names:
        output.line(f"Deleted {what}:")
        for name in names:
            output.line(name)
        output.line()
