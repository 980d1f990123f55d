"""What this machine is."""

from __future__ import annotations

import os

from lamina_runtime.oci.platform import Platform, host


def own_platform() -> Platform:
    """Return what this machine runs."""
    system = os.uname()
    return host(system.sysname, system.machine)
