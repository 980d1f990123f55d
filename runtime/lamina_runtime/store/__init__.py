"""The content-addressed store on disk (docs/on-disk.md)."""
