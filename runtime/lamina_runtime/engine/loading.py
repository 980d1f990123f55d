"""`lamina load`: the archive's images, and the store as it was if anything is refused."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lamina_runtime.archive import loading
from lamina_runtime.engine.machine import own_platform
from lamina_runtime.errors import UsageError
from lamina_runtime.oci.platform import Platform
from lamina_runtime.oci.reference import DEFAULT_TAG, Reference

if TYPE_CHECKING:
    from lamina_runtime.engine.context import Engine


def load(
    engine: Engine, name: str, *, platform: str, repository: str, progress: loading.Progress
) -> list[loading.Loaded]:
    """Load an archive, a layout or, for "-", stdin."""
    if name == "-" and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("requested load from stdin, but stdin is empty")
    if repository:
        Reference.parse(f"{repository}:{DEFAULT_TAG}")  # before anything is read
    wanted = Platform.parse(platform) if platform else own_platform()
    choice = loading.Choice(wanted, strict=bool(platform), repository=repository)
    return loading.load(engine.store, name, choice, progress)
