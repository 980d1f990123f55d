"""Values of the OCI and docker image formats.  No I/O here."""
