"""The practice scenario: what people do with containers, from a first run to a shipped image."""
