"""Measurements beside kernel overlayfs and fuse-overlayfs."""
