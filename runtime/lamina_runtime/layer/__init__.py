"""Layers as streams: what a transport brings becomes a tar, its digests and its index."""
