"""Images in archives: docker-archive, OCI layout and archive, plain tarballs.

opening       a file, a pipe or a directory; compression by content
tarstream     the members of an archive, in order, from a stream
sources       archives as something that answers for its parts: in place, or as they come by
docker_archive, legacy, oci_layout
              what an archive says of its images
loading       from an archive into the store
saving        from the store into an archive
importing     a tarball's tree as a new image
"""
