"""The distribution protocol: pull, push, search, credentials."""
