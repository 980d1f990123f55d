"""Lamina's tests."""
