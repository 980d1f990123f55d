"""What is wrong with a document of an image."""

from lamina_runtime.errors import IntegrityError, LaminaError


class OciError(LaminaError):
    """A manifest, index, configuration, reference or digest that breaks its specification."""


class MismatchError(IntegrityError):
    """Content has another digest or size than its descriptor says."""

    def __init__(self, source: str, *, expected: object, actual: object) -> None:
        super().__init__(
            f"{source}: content does not match {expected}",
            details=f"got {actual}",
            hint="it was altered or cut off on the way; fetch it again",
        )
        self.expected, self.actual = expected, actual
