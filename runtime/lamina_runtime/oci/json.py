"""JSON from strangers: one place that reads it, with bounds, and one that writes it.

Theory.  Python's parser recurses, keeps the last of two equal keys, takes NaN and numbers of any
length, and lets half a surrogate pair through.  Each of these lets a document crash us, cost
without bound, or mean one thing to us and another to the next tool.  So the brackets are counted
before the parser sees the text, and the hooks refuse the rest.

What parses and writes is the C part of the standard library's json, taken without the regular
expressions that json itself loads beside it: those are a fifth of the time that a listing has.

`Object` reads fields by type.  As in Go, from which these formats come, null means absent.
"""

from __future__ import annotations

from lamina_runtime.oci.errors import OciError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, ClassVar

    _Scan = Callable[[str, int], tuple[Any, int]]
    _Encode = Callable[[object, int], Iterable[str]]

MAX_SIZE = 4 << 20  # registries must take manifests of 4 MiB; larger ones travel nowhere
MAX_DEPTH = 32  # an image configuration nests 5 deep
MAX_PARTS = 300_000  # brackets and commas: bounds memory to some 100 bytes each
MAX_NUMBER = 40  # characters; a 64-bit integer has 20
MAX_INTEGER = (1 << 63) - 1

_SPACE = " \t\n\r"


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
        value = _parse(text)
        if "\\ud" in text or "\\uD" in text:  # perhaps half a surrogate pair: it cannot be written anywhere
            dump(value)
    except UnicodeEncodeError:
        raise OciError(f"{what}: half a surrogate pair") from None
    except ValueError as exc:
        raise OciError(f"{what}: {_told(exc)}") from None
    return value


def load_object(raw: bytes, what: str, *, limit: int = MAX_SIZE) -> Object:
    """Parse a document that must be an object."""
    return Object(load(raw, what, limit=limit), what)


def dump(value: object) -> bytes:
    """Serialise without spaces, in the order of the keys, the same bytes each time."""
    return "".join(_ENCODE(value, 0)).encode()


def writable(text: str) -> str:
    """Return words of a command as a document can hold them: bytes that are no UTF-8 become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def pretty(value: object) -> str:
    """Serialise for people, four spaces a level, as json.dumps(indent=4) does."""
    return "".join(_lines(value, "\n"))


def _lines(value: object, margin: str) -> Iterator[str]:
    inner, first = margin + "    ", True
    if not value or not isinstance(value, dict | list | tuple):
        yield "".join(_ENCODE(value, 0))
    elif isinstance(value, dict):
        for name, one in value.items():
            yield ("{" if first else ",") + inner + "".join(_ENCODE(name, 0)) + ": "
            yield from _lines(one, inner)
            first = False
        yield margin + "}"
    else:
        for one in value:
            yield ("[" if first else ",") + inner
            yield from _lines(one, inner)
            first = False
        yield margin + "]"


def dump_own(value: object) -> str:
    """Serialise in ASCII what nobody but us reads: it may hold names that are no UTF-8."""
    return "".join(_ENCODE_OWN(value, 0))


def load_own(text: str, what: str) -> Any:
    """Parse what `dump_own` wrote, or somebody in its place."""
    _measure(text, what)
    try:
        return _parse(text)
    except ValueError as exc:
        raise OciError(f"{what}: {_told(exc)}") from None


def _measure(text: str, what: str) -> None:
    # Backslashes only count within strings; what is left of the quotes then tells strings from the rest.
    # Text that is no JSON may be told wrongly behind its first error, which the parser does not pass.
    plain = text.replace("\\\\", "").replace('\\"', "") if "\\" in text else text
    outside = "".join(plain.split('"')[::2])
    if sum(map(outside.count, "{[]},")) > MAX_PARTS:
        raise OciError(f"{what}: more than {MAX_PARTS} parts")
    if outside.count("{") + outside.count("[") <= MAX_DEPTH:
        return
    depth = 0
    for letter in outside:
        if letter in "{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise OciError(f"{what}: nested more than {MAX_DEPTH} deep")
        elif letter in "}]":
            depth -= 1


def _parse(text: str) -> Any:
    """Parse text that was measured; ValueError for what is not JSON."""
    start = len(text) - len(text.lstrip(_SPACE))
    try:
        value, end = _scanned(text, start)
    except StopIteration as exc:
        raise ValueError(f"not JSON: Expecting value at character {exc.value}") from None
    rest = text[end:].lstrip(_SPACE)
    if rest:
        raise ValueError(f"not JSON: Extra data at character {len(text) - len(rest)}")
    return value


def _scanned(text: str, start: int) -> tuple[Any, int]:
    """Let the scanner parse; its exception is json.decoder's, and it finds none where that is not loaded."""
    try:
        return _SCAN(text, start)
    except SystemError:
        __import__("json.decoder")
        return _SCAN(text, start)


def _told(exc: ValueError) -> str:
    """Say what the parser says, or one of the hooks."""
    place = getattr(exc, "pos", None)
    return str(exc) if place is None else f"not JSON: {getattr(exc, 'msg', '')} at character {place}"


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


class _Settings:
    """What the scanner asks for."""

    strict = True  # no control characters in strings
    object_hook = None
    object_pairs_hook = staticmethod(_object)
    parse_int = staticmethod(_integer)
    parse_float = staticmethod(_real)
    parse_constant = staticmethod(_constant)
    memo: ClassVar[dict[str, str]] = {}


def _tools() -> tuple[_Scan, _Encode, _Encode]:
    """Return the scanner, the encoder, and that of what is our own."""
    try:
        from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner
    except ImportError:  # an interpreter without the C part
        import json

        decoder = json.JSONDecoder(
            object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant
        )
        others, ours = (
            json.JSONEncoder(ensure_ascii=ascii_only, separators=(",", ":"), allow_nan=False)
            for ascii_only in (False, True)
        )
        return (
            decoder.raw_decode,
            lambda value, _: others.iterencode(value),
            lambda value, _: ours.iterencode(value),
        )
    sort, skip, not_a_number = False, False, False
    made, own = (
        make_encoder(None, _refused, encode, None, ":", ",", sort, skip, not_a_number)
        for encode in (encode_basestring, encode_basestring_ascii)
    )
    return make_scanner(_Settings()), made, own  # type: ignore[arg-type]  # anything that has these will do


def _refused(value: object) -> object:
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


_SCAN, _ENCODE, _ENCODE_OWN = _tools()


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
