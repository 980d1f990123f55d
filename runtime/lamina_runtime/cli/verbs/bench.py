"""`lamina bench`: handed on to the package of benchmarks, which reads its own arguments."""

from __future__ import annotations

from lamina_runtime.cli.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.cli.flags import Parsed
    from lamina_runtime.engine.context import Engine

COMMAND = Command(
    ("bench",),
    "[ARG...]",
    "Measure against kernel overlayfs, fuse-overlayfs and podman",
    arguments=(0, 1 << 30),
    opaque=True,
    own=True,
)


def run(parsed: Parsed, engine: Engine) -> int:  # noqa: ARG001 - every verb's signature
    """Run the benchmarks."""
    from lamina_unionfs.complete_path import complete

    complete()
    try:
        from lamina_benchmarks import command
    except ImportError as error:
        from lamina_runtime.errors import LaminaError

        raise LaminaError(
            f"the benchmarks cannot be had: {error}", hint="pip install 'lamina[bench]'"
        ) from error
    return command.main(parsed.arguments)
