"""JSON from strangers: one place that reads it, with bounds, and one that writes it.

Theory.  Python's parser recurses, keeps the last of two equal keys, takes NaN and numbers of any
length, and lets half a surrogate pair through.  Each of these lets a document crash us, cost
without bound, or mean one thing to us and another to the next tool.  So the brackets are counted
before the parser sees the text, and the hooks refuse the rest.

`Object` reads fields by type.  As in Go, from which these formats come, null means absent.
"""

from __future__ import annotations

import json
import re

from lamina_runtime.oci.errors import OciError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

MAX_SIZE = 4 << 20  # registries must take manifests of 4 MiB; larger ones travel nowhere
MAX_DEPTH = 32  # an image configuration nests 5 deep
MAX_PARTS = 300_000  # brackets and commas: bounds memory to some 100 bytes each
MAX_NUMBER = 40  # characters; a 64-bit integer has 20
MAX_INTEGER = (1 << 63) - 1

# The closing quote is optional so that text without one is passed over once, not once a character.
_PARTS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{},]', re.DOTALL)


def load(raw: bytes, what: str, *, limit: int = MAX_SIZE) -> Any:
    """Parse a document; `what` names it in errors."""
    if len(raw) > limit:
        raise OciError(f"{what}: {len(raw)} bytes are more than the limit of {limit}")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise OciError(f"{what}: not UTF-8 at byte {exc.start}") from None
    _measure(text, what)
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_real,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as exc:
        raise OciError(f"{what}: not JSON: {exc.msg} at character {exc.pos}") from None
    except ValueError as exc:
        raise OciError(f"{what}: {exc}") from None


def load_object(raw: bytes, what: str, *, limit: int = MAX_SIZE) -> Object:
    """Parse a document that must be an object."""
    return Object(load(raw, what, limit=limit), what)


def dump(value: object) -> bytes:
    """Serialise without spaces, in the order of the keys, the same bytes each time."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _measure(text: str, what: str) -> None:
    depth = parts = 0
    for match in _PARTS.finditer(text):
        match text[match.start()]:
            case "{" | "[":
                depth += 1
                if depth > MAX_DEPTH:
                    raise OciError(f"{what}: nested more than {MAX_DEPTH} deep")
            case "}" | "]":
                depth -= 1
            case '"':
                continue
        parts += 1
        if parts > MAX_PARTS:
            raise OciError(f"{what}: more than {MAX_PARTS} parts")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key {twice[:80]!r} is there twice")
    return found


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _real(text: str) -> float:
    if len(text) > MAX_NUMBER:
        raise ValueError(f"a number of {len(text)} characters")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number beyond all bounds")
    return value


def _constant(text: str) -> float:
    raise ValueError(f"{text} is not a number of JSON")


class Object:
    """A JSON object while it is read: fields by type; null, where it is allowed, means absent."""

    __slots__ = ("_fields", "what")

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise OciError(f"{what}: an object is wanted, not {_kind(value)}")
        self._fields: dict[str, Any] = value
        self.what = what

    @property
    def fields(self) -> Mapping[str, Any]:
        """Everything that is there, known or not."""
        return self._fields

    def text(self, key: str, default: str = "") -> str:
        """Return a string, `default` if it is absent."""
        return self._string(self._fields.get(key), key, default)

    def need_text(self, key: str) -> str:
        """Return a string that must be there and not be empty."""
        value = self.text(key)
        if not value:
            raise OciError(f"{self.what}: no {key}")
        return value

    def integer(self, key: str, default: int = 0, *, low: int = 0, high: int = MAX_INTEGER) -> int:
        """Return an integer between bounds, `default` if it is absent."""
        value = self._fields.get(key)
        if value is None:
            return default
        if type(value) is not int:
            raise OciError(f"{self.what}: {key} is {_kind(value)}, not an integer")
        if not low <= value <= high:
            raise OciError(f"{self.what}: {key} is {value}, not between {low} and {high}")
        return value

    def flag(self, key: str) -> bool:
        """Return a boolean, False if it is absent."""
        value = self._fields.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise OciError(f"{self.what}: {key} is {_kind(value)}, not true or false")

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings, empty if it is absent."""
        return tuple(self._string(value, key, None) for value in self._list(key))

    def text_map(self, key: str) -> dict[str, str]:
        """Return an object whose values are strings, empty if it is absent."""
        value = self._fields.get(key)
        if value is None:
            return {}
        found = Object(value, f"{self.what}: {key}")
        return {_checked(name, found.what): found.text(name) for name in found.fields}

    def keys_of(self, key: str) -> tuple[str, ...]:
        """Return the sorted keys of an object that stands for a set, empty if it is absent."""
        value = self._fields.get(key)
        if value is None:
            return ()
        found = Object(value, f"{self.what}: {key}")
        return tuple(sorted(_checked(name, found.what) for name in found.fields))

    def inner(self, key: str) -> Object | None:
        """Return an inner object, None if it is absent."""
        value = self._fields.get(key)
        return None if value is None else Object(value, f"{self.what}: {key}")

    def objects(self, key: str, *, limit: int) -> Iterator[Object]:
        """Yield the objects of a list, nothing if it is absent."""
        values = self._list(key)
        if len(values) > limit:
            raise OciError(f"{self.what}: {len(values)} {key}, more than the limit of {limit}")
        for number, value in enumerate(values):
            yield Object(value, f"{self.what}: {key}[{number}]")

    def _list(self, key: str) -> list[Any]:
        value = self._fields.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise OciError(f"{self.what}: {key} is {_kind(value)}, not a list")
        return value

    def _string(self, value: object, key: str, default: str | None) -> str:
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise OciError(f"{self.what}: {key} is {_kind(value)}, not a string")
        return _checked(value, f"{self.what}: {key}")


def _checked(value: str, where: str) -> str:
    """Refuse half surrogate pairs, which cannot be written anywhere."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise OciError(f"{where}: half a surrogate pair") from None
    return value


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"
