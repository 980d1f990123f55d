"""What a container's confinement needs of the host's files: a profile to read, apt's word to write."""

from __future__ import annotations

from lamina_runtime.container.seccomp import emulation
from lamina_runtime.container.seccomp import profile as profiles
from lamina_runtime.container.seccomp.assembler import FilterError
from lamina_runtime.fspath import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lamina_runtime.container import ids
    from lamina_runtime.container.wishes import Wishes


def profile(wishes: Wishes) -> bytes:
    """Return the file that --security-opt seccomp= names; b"" where it names none."""
    if wishes.seccomp in ("", "unconfined"):
        return b""
    try:
        with Path(wishes.seccomp).open("rb") as file:
            return file.read(profiles.LIMIT + 1)
    except OSError as exc:
        raise FilterError(f"seccomp profile {wishes.seccomp}: {exc.strerror}") from None


def files(mapped: ids.Ids, run: Path) -> dict[str, str]:
    """Return the files that the play of root needs: {container's path: the host's}."""
    if not mapped.single:
        return {}
    place = run / "apt.conf"
    place.write_text(emulation.APT, encoding="ascii")
    return {emulation.APT_PLACE: str(place)}
