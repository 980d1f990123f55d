"""The image runtime on top of the union filesystem: errors and paths so far."""
