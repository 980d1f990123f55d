"""The scanner of tars, and the index it makes: lamina_native.tarscan behind errors for people."""

from __future__ import annotations

from lamina_native import tarscan

from lamina_runtime.layer.errors import LayerError


class LayerScanner:
    """Makes the index of one tar."""

    def __init__(self, source: str) -> None:
        self._scanner = tarscan.TarScanner()
        self._source = source
        self.entries = self.file_size = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the tar; raises LayerError for what no layer may hold."""
        try:
            self._scanner.feed(data)
        except tarscan.LaminaTarError as exc:
            raise self._refusal(exc) from None

    def finish(self) -> bytes:
        """Return the index."""
        try:
            index = self._scanner.finish()
        except tarscan.LaminaTarError as exc:
            raise self._refusal(exc) from None
        info = tarscan.index_info(index)
        self.entries, self.file_size = info.entries, info.file_size
        return index

    def _refusal(self, exc: tarscan.LaminaTarError) -> LayerError:
        return LayerError(
            f"{self._source}: its tar is refused: {exc.text}", details=f"entry at byte {exc.offset}"
        )
