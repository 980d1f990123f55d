"""Why a layer is not taken."""

from lamina_runtime.errors import IntegrityError, LaminaError


class LayerError(LaminaError):
    """A layer that cannot be what its sender says."""


class CorruptLayerError(IntegrityError):
    """A layer that is damaged or cut off."""


class TooLargeError(LayerError):
    """A layer beyond the limits: a bomb, or an image that needs larger ones."""

    def __init__(self, source: str, *, size: int, blob_size: int) -> None:
        super().__init__(
            f"{source}: its content is larger than is allowed",
            details=f"{size} bytes and more out of {blob_size}",
            hint="if it is to be trusted, raise the limits of layers",
        )
