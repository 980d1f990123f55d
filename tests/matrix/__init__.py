"""Every command on every kind of host."""
