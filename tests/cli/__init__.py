"""The command lamina-unionfs as its users call it."""
