"""Counters of a core and of a server, as plain dictionaries."""

from lamina_native._core import ffi, lib
from lamina_native.core import Core
from lamina_native.server import Server

CORE_FIELDS = ("nodes", "names", "fds", "copyups", "copied_bytes", "metacopies")
SERVER_FIELDS = ("requests", "forwarded", "pooled")


def core_stats(core: Core) -> dict[str, int]:
    """Return what the core counts."""
    out = ffi.new("struct lam_stats *")
    lib.lam_core_stats(core.handle, out)
    return {field: int(getattr(out, field)) for field in CORE_FIELDS}


def server_stats(server: Server) -> dict[str, int | dict[str, int]]:
    """Return what the fast path counts; `by_opcode` has a row for each FUSE opcode that was seen."""
    out = ffi.new("struct lam_server_stats *")
    lib.lam_server_stats(server.handle, out)
    by_opcode = {str(code): int(count) for code, count in enumerate(out.by_opcode) if count}
    return {field: int(getattr(out, field)) for field in SERVER_FIELDS} | {"by_opcode": by_opcode}
