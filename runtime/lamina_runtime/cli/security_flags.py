"""`--security-opt`: what keeps a container from the rest of the machine, and what of it is given up.

Docker's words and podman's `mask=` and `unmask=`.  AppArmor and SELinux are not ours to load: a wish
for a profile is told not to be met, a wish for none is met.
"""

from __future__ import annotations

import os
import posixpath

from lamina_runtime.cli import output
from lamina_runtime.errors import UsageError
from lamina_runtime.value import replace, value

ALL = "ALL"


@value
class Security:
    """What the flags ask for."""

    no_new_privileges: bool = False
    seccomp: str = ""
    mask: tuple[str, ...] = ()
    unmask: tuple[str, ...] = ()


def wished(words: list[str]) -> Security:
    """Return what the flags say; what cannot be done here is told on standard error."""
    found = Security()
    for word in words:
        name, _, value = word.replace(":", "=", 1).partition("=")
        if name == "no-new-privileges" and value in ("", "true", "false"):
            found = replace(found, no_new_privileges=value != "false")
        elif name == "seccomp" and value:
            kept = value if value in ("unconfined", "builtin") else os.path.abspath(value)
            found = replace(found, seccomp=kept)
        elif name == "mask" and value:
            found = replace(found, mask=(*found.mask, *(_path(part, word) for part in value.split(":"))))
        elif name == "unmask" and value:
            paths = [ALL] if value.upper() == ALL else [_path(part, word) for part in value.split(":")]
            found = replace(found, unmask=(*found.unmask, *paths))
        elif (name, value) == ("systempaths", "unconfined"):
            found = replace(found, unmask=(*found.unmask, ALL))
        elif name in ("apparmor", "label") and value:
            _told(name, value)
        else:
            raise UsageError(f"invalid --security-opt: {word!r}")
    return found


def _path(text: str, word: str) -> str:
    if not text.startswith("/"):
        raise UsageError(f"invalid --security-opt: {word!r}: {text!r} is not an absolute path")
    return posixpath.normpath(text)


def _told(name: str, value: str) -> None:
    if (name, value) in (("apparmor", "unconfined"), ("label", "disable")):
        return
    system = {"apparmor": "AppArmor", "label": "SELinux"}[name]
    output.note(f"--security-opt {name}={value}: {system} is not used for containers, they run without")
