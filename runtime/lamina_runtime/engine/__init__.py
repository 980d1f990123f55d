"""What the commands do; introduces store, registry and archives to each other."""
