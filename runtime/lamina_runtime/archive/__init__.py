"""Images in archives: docker-archive, OCI layout and archive, plain tarballs."""
