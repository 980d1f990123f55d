"""Values as Go sees them: truth, comparison, kinds' names, and how they are printed.

What templates see is JSON: None, bool, int, float, str, list, dict.  `Fields` is a dict that
stands for a Go struct: a name that it lacks is an error, while a plain dict answers `NO_VALUE`.
"""

from __future__ import annotations

from lamina_runtime.cli.template.errors import TemplateError


class Fields(dict[str, object]):
    """What docker has as a struct; its names are known."""


class _NoValue:
    """What a map answers for a key that it lacks."""

    def __bool__(self) -> bool:
        return False


NO_VALUE = _NoValue()
_QUOTES = {
    '"': '\\"',
    "\\": "\\\\",
    "\n": "\\n",
    "\t": "\\t",
    "\r": "\\r",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\v": "\\v",
}


def is_true(value: object) -> bool:
    """Go's truth: not false, zero, nil, or empty; a struct always."""
    return isinstance(value, Fields) or bool(value)


def type_name(value: object) -> str:
    """Name a value's type as Go's messages do."""
    if isinstance(value, Fields):
        return "struct"
    names = {
        bool: "bool",
        int: "int",
        float: "float64",
        str: "string",
        list: "[]interface {}",
        tuple: "[]string",
    }
    if isinstance(value, dict):
        return "map[string]interface {}"
    return names.get(type(value), "<nil>")


def text_of(value: object) -> str:
    """Print a value as %v does."""
    if value is None:
        return "<nil>"
    if value is NO_VALUE:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, Fields):
        return "{" + " ".join(map(text_of, value.values())) + "}"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{text_of(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(map(text_of, value)) + "]"
    return str(value)


def float_text(value: float) -> str:
    """Print a float with the fewest digits that mean it, as Go does."""
    text = repr(value)
    mantissa, exponent, power = text.partition("e")
    if not exponent:
        if value.is_integer() and abs(value) < 1e21:
            return str(int(value))
        return text
    if abs(value) >= 1e21 or abs(value) < 1e-4:
        return f"{mantissa.removesuffix('.0')}e{power[0]}{power[1:].zfill(2)}"
    return f"{value:.0f}"


def quoted(text: str) -> str:
    """Quote a string as Go does."""
    return '"' + "".join(_QUOTES.get(letter) or _visible(letter) for letter in text) + '"'


def _visible(letter: str) -> str:
    if letter.isprintable():
        return letter
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    for kind, name in ((int, "int"), (float, "float"), (str, "string")):
        if isinstance(value, kind):
            return name
    if value is None or value is NO_VALUE:
        return "nil"
    return "other"


def equal(function: str, first: object, second: object) -> bool:
    """Compare two basic values; raise TemplateError if they cannot be compared."""
    kinds = _kind(first), _kind(second)
    if "nil" in kinds:
        return kinds == ("nil", "nil")
    if "other" in kinds:
        raise TemplateError(f"error calling {function}: non-comparable type {type_name(first)}")
    if kinds[0] != kinds[1]:
        raise TemplateError(f"error calling {function}: incompatible types for comparison")
    return first == second


def less(function: str, first: object, second: object) -> bool:
    """Order two numbers or two strings."""
    for kind in (str, float, int):
        if isinstance(first, kind) and isinstance(second, kind) and not isinstance(first, bool):
            return first < second  # type: ignore[operator]  # both are of one ordered kind
    if _kind(first) == _kind(second):
        raise TemplateError(f"error calling {function}: invalid type for comparison")
    raise TemplateError(f"error calling {function}: incompatible types for comparison")
