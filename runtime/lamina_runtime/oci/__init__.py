"""Values of the OCI image specification and their docker twins.  No input or output here."""
