"""Build lamina_native._core: the C core behind cffi in API mode.

The same `src/*.c` are globbed here and by native/Makefile.  cffi compiles the
declarations of core.cdef.h against the real headers, so that a mismatch in a
prototype is a compiler warning (an error here) and one in a layout is refused
when the module is imported.
"""

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

SOURCES = sorted(str(path.relative_to(ROOT)) for path in (HERE / "src").glob("*.c"))

PREAMBLE = """
#include <lamina/core.h>
#include <lamina/error.h>
#include <lamina/mount.h>
#include <lamina/server.h>
#include <lamina/types.h>
"""

ffibuilder = FFI()
ffibuilder.cdef((HERE / "core.cdef.h").read_text(encoding="ascii"))
ffibuilder.set_source(
    "lamina_native._core",
    PREAMBLE,
    sources=SOURCES,
    include_dirs=["native/include", "native/src"],
    define_macros=[("_GNU_SOURCE", "1")],
    extra_compile_args=[
        "-std=gnu11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Wno-missing-field-initializers",
        "-Wno-cast-function-type",
        "-Werror=incompatible-pointer-types",
        "-Werror=implicit-function-declaration",
        "-fvisibility=hidden",
        "-pthread",
    ],
    extra_link_args=["-pthread", "-Wl,-z,now"],
)
