"""Conformance: one table of cases, many targets.  See docs/conformance.md."""
