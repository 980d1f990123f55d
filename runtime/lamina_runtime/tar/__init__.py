"""Layer tars: their indexes, and writing them so that the same content has the same digest."""
