"""The one failure of templates."""

from __future__ import annotations

from lamina_runtime.errors import LaminaError


class TemplateError(LaminaError):
    """The template cannot be parsed, or does not fit the data."""

    def __init__(self, text: str) -> None:
        super().__init__(f"template: {text}")
