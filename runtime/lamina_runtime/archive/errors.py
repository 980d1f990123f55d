"""What is wrong with an archive."""

from __future__ import annotations

from lamina_runtime.errors import LaminaError


class ArchiveError(LaminaError):
    """An archive that is damaged, incomplete, hostile, or none at all."""
