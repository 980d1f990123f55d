"""Layers as streams: compression, digests, indexes."""
