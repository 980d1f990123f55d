"""Layer tars and merged images: against tarfile, GNU tar and the kernel."""
