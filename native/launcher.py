"""Build lamina_native/lamina-launch: a program, which setuptools has no word for.

It is not Python's to load but the container's monitor to be, so that what stays with each container
is a process of 100 KiB.  Linked against the C library only.
"""

from pathlib import Path

from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-D_FORTIFY_SOURCE=2"]
HARDENED = ["-fstack-protector-strong", "-fPIE", "-pie", "-Wl,-z,relro,-z,now"]


class build_launcher(build_ext):  # noqa: N801 - the name of a command
    """build_ext, and the launcher beside the extensions."""

    def run(self) -> None:
        """Build both."""
        super().run()
        target = Path(self.build_lib) / "lamina_native" / "lamina-launch"
        target.parent.mkdir(parents=True, exist_ok=True)
        sources = sorted(str(path) for path in (HERE / "launch").glob("*.c"))
        compiler = self.compiler.compiler[0]
        self.spawn([compiler, *FLAGS, *HARDENED, "-o", str(target), *sources])
