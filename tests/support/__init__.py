"""What tests share: layers, mounts, realms, dumps, and processes that may hang."""
