"""Build lamina_native._core, the union, and _image, the layers of images: cffi in API mode.

Two modules, so that a mount does not load what it does not need.
The same `src/*.c` and `src/image/*.c` are globbed here and by native/Makefile.  cffi compiles the
declarations of *.cdef.h against the real headers, so that a mismatch in a
prototype is a compiler warning (an error here) and one in a layout is refused
when the module is imported.
"""

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

CORE = """
#include <lamina/core.h>
#include <lamina/error.h>
#include <lamina/mount.h>
#include <lamina/server.h>
#include <lamina/types.h>
"""

IMAGE = """
#include <lamina/image/build.h>
#include <lamina/image/index.h>
#include <lamina/image/tar.h>
"""

COMPILE = [
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
]


def extension(name: str, *, cdef: str, preamble: str, sources: str) -> FFI:
    """Describe one extension module of lamina_native."""
    builder = FFI()
    builder.cdef((HERE / cdef).read_text(encoding="ascii"))
    builder.set_source(
        f"lamina_native.{name}",
        preamble,
        sources=sorted(str(path.relative_to(ROOT)) for path in HERE.glob(sources)),
        include_dirs=["native/include", "native/src"],
        define_macros=[("_GNU_SOURCE", "1")],
        extra_compile_args=COMPILE,
        extra_link_args=["-pthread", "-Wl,-z,now"],
    )
    return builder


core = extension("_core", cdef="core.cdef.h", preamble=CORE, sources="src/*.c")
image = extension("_image", cdef="image.cdef.h", preamble=IMAGE, sources="src/image/*.c")
