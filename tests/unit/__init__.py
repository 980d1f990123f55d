"""Unit tests: no mounts, no privileges."""
