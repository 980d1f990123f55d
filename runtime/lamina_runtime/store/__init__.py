"""The image store: content by digest, layers as tars, images as EROFS metadata, names, leases."""

from lamina_runtime.store.store import Store

__all__ = ["Store"]
