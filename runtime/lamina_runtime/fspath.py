# ruff: noqa: D102, FBT002, PTH - the types and the words are pathlib's
"""Paths for what has to start at once: pathlib's in use, without the cost of importing pathlib.

Theory.  pathlib brings regular expressions, URLs and IP addresses in, a quarter of the time that a
listing has.  A path here is a string with the few methods that are used while a command starts; for
any other it becomes a path of pathlib's, which is loaded then.  Both say the same of the same path:
they are equal, and both go where os.PathLike goes.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path as Path
else:
    _DIRECT = ("ascii", "utf-8")  # decoded without what io needs for it

    class Path:
        """A path of this system; type checkers take it for pathlib's."""

        __slots__ = ("_text",)

        def __init__(self, *parts):
            """Join and clean parts as pathlib does: `..` stays, doubled slashes and `.` go."""
            text = os.path.join(*map(os.fspath, parts)) if parts else "."
            if "//" in text or "./" in text or text[-1:] in ("/", ".", ""):
                text = _cleaned(text)
            self._text = text

        def __fspath__(self):
            return self._text

        __str__ = __fspath__

        def __repr__(self):
            return f"Path({self._text!r})"

        def __hash__(self):
            return hash(self._text)

        def __eq__(self, other):
            return self._text == os.fspath(other) if isinstance(other, os.PathLike) else NotImplemented

        def __lt__(self, other):
            return self._text.split("/") < os.fspath(other).split("/")

        def __truediv__(self, name):
            return Path(self._text, name)

        def __reduce__(self):
            return (Path, (self._text,))

        def __getattr__(self, name):
            if name.startswith("_"):
                raise AttributeError(name)
            import pathlib

            return getattr(pathlib.Path(self._text), name)

        @property
        def name(self):
            return "" if self._text == "." else self._text.rpartition("/")[2]

        @property
        def parent(self):
            return Path(os.path.dirname(self._text) or ("." if self._text[:1] != "/" else "/"))

        def absolute(self):
            return self if self._text[:1] == "/" else Path(os.getcwd(), self._text)

        def exists(self):
            return os.path.exists(self._text)

        def is_dir(self):
            return os.path.isdir(self._text)

        def is_symlink(self):
            return os.path.islink(self._text)

        def stat(self, *, follow_symlinks=True):
            return os.stat(self._text, follow_symlinks=follow_symlinks)

        def lstat(self):
            return os.lstat(self._text)

        def iterdir(self):
            for name in os.listdir(self._text):
                yield self / name

        def open(self, mode="r", buffering=-1, encoding=None, errors=None, newline=None):
            return open(self._text, mode, buffering, encoding, errors, newline)

        def read_bytes(self):
            with open(self._text, "rb") as file:
                return file.read()

        def read_text(self, encoding=None, errors=None):
            if encoding in _DIRECT:
                text = self.read_bytes().decode(encoding, errors or "strict")
                return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
            with open(self._text, encoding=encoding, errors=errors) as file:
                return file.read()

        def write_bytes(self, data):
            with open(self._text, "wb") as file:
                return file.write(data)

        def write_text(self, data, encoding=None, errors=None, newline=None):
            if encoding in _DIRECT and newline is None:
                self.write_bytes(data.encode(encoding, errors or "strict"))
                return len(data)
            with open(self._text, "w", encoding=encoding, errors=errors, newline=newline) as file:
                return file.write(data)

        def unlink(self, missing_ok=False):
            try:
                os.unlink(self._text)
            except FileNotFoundError:
                if not missing_ok:
                    raise

        def rename(self, target):
            os.rename(self._text, target)
            return Path(target)

        def mkdir(self, mode=0o777, parents=False, exist_ok=False):
            try:
                os.mkdir(self._text, mode)
            except FileNotFoundError:
                if not parents or self.parent == self:
                    raise
                self.parent.mkdir(parents=True, exist_ok=True)
                self.mkdir(mode, parents=False, exist_ok=exist_ok)
            except OSError:
                if not exist_ok or not self.is_dir():
                    raise


def _cleaned(text: str) -> str:
    parts = [part for part in text.split("/") if part not in ("", ".")]
    return ("/" if text[:1] == "/" else "") + "/".join(parts) or "."
