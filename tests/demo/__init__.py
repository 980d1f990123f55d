"""`make demo`: a real Debian tree under an upper, changed by programs that run inside it."""
