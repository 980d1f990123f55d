"""Templates to tokens.

Theory.  Outside of {{ }} everything is text; "{{- " and " -}}" eat the white space beside them.
Inside, white space only separates: but it matters before a dot, since `.a .b` are two operands
and `.a.b` is one, so tokens say whether a space stands before them.
"""

from __future__ import annotations

from lamina_runtime.cli.template.errors import TemplateError

TEXT, FIELD, VARIABLE, NAME, STRING, NUMBER, DOT, PUNCTUATION, OPEN, CLOSE, END = range(11)
WHITE = " \t\r\n"
ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
}
HEX_LENGTHS = {"x": 2, "u": 4, "U": 8}


class Token:
    """A piece of a template; `value` is what a literal means, `text` how it was written."""

    __slots__ = ("kind", "spaced", "text", "value")

    def __init__(self, kind: int, text: str, value: object = None, *, spaced: bool = False) -> None:
        self.kind, self.text, self.value, self.spaced = kind, text, value, spaced


def tokens(template: str) -> list[Token]:
    """Take a template apart; raise TemplateError where it is none."""
    found: list[Token] = []
    position = 0
    trim = False
    while True:
        begin = template.find("{{", position)
        text = template[position:] if begin < 0 else template[position:begin]
        if trim:
            text = text.lstrip(WHITE)
        if begin < 0:
            if text:
                found.append(Token(TEXT, text))
            found.append(Token(END, "end of template"))
            return found
        position = begin + 2
        if template[position : position + 1] == "-" and template[position + 1 : position + 2] in tuple(WHITE):
            text = text.rstrip(WHITE)
            position += 2
        if text:
            found.append(Token(TEXT, text))
        position, trim = _action(template, position, found)


def _action(template: str, position: int, found: list[Token]) -> tuple[int, bool]:
    """Read from behind "{{" to behind "}}"; return where that is and whether text after it is trimmed."""
    if template.startswith("/*", position):
        end = template.find("*/", position)
        if end < 0:
            raise TemplateError("unclosed comment")
        for closing, trim in (("}}", False), (" -}}", True)):
            if template.startswith(closing, end + 2):
                return end + 2 + len(closing), trim
        raise TemplateError("comment ends before closing delimiter")
    found.append(Token(OPEN, "{{"))
    spaced = False
    while True:
        if template.startswith("}}", position):
            found.append(Token(CLOSE, "}}"))
            return position + 2, False
        if spaced and template.startswith("-}}", position):
            found.append(Token(CLOSE, "}}"))
            return position + 3, True
        if position >= len(template):
            raise TemplateError("unclosed action")
        if template[position] in WHITE:
            spaced = True
            position += 1
            continue
        token, position = _token(template, position, spaced=spaced)
        found.append(token)
        spaced = False


def _token(  # noqa: C901 - one branch for each form of a token
    template: str, position: int, *, spaced: bool
) -> tuple[Token, int]:
    letter = template[position]
    if letter in ".$" or letter.isalpha() or letter == "_":
        if letter == "." and template[position + 1 : position + 2].isdigit():
            return _number(template, position, spaced=spaced)
        end = position + 1
        while end < len(template) and (template[end].isalnum() or template[end] == "_"):
            end += 1
        word = template[position:end]
        if letter == ".":
            return Token(DOT if end == position + 1 else FIELD, word, word[1:], spaced=spaced), end
        return Token(VARIABLE if letter == "$" else NAME, word, word, spaced=spaced), end
    if letter == '"':
        return _quoted(template, position, spaced=spaced)
    if letter == "`":
        end = template.find("`", position + 1)
        if end < 0:
            raise TemplateError("unterminated raw quoted string")
        return Token(
            STRING, template[position : end + 1], template[position + 1 : end], spaced=spaced
        ), end + 1
    if letter == "'":
        token, end = _quoted(template, position, spaced=spaced)
        if not isinstance(token.value, str) or len(token.value) != 1:
            raise TemplateError(f"malformed character constant: {token.text}")
        return Token(NUMBER, token.text, ord(token.value), spaced=spaced), end
    if letter.isdigit() or letter in "+-":
        return _number(template, position, spaced=spaced)
    if template.startswith(":=", position):
        return Token(PUNCTUATION, ":=", spaced=spaced), position + 2
    if letter in "|(),=":
        return Token(PUNCTUATION, letter, spaced=spaced), position + 1
    raise TemplateError(f"unexpected {letter!r} in an action")


def _quoted(template: str, position: int, *, spaced: bool) -> tuple[Token, int]:
    quote = template[position]
    end = position + 1
    value: list[str] = []
    while True:
        letter = template[end : end + 1]
        if letter in ("", "\n"):
            raise TemplateError(
                "unterminated quoted string" if quote == '"' else "unterminated character constant"
            )
        if letter == quote:
            return Token(STRING, template[position : end + 1], "".join(value), spaced=spaced), end + 1
        if letter != "\\":
            value.append(letter)
            end += 1
            continue
        text, end = _escape(template, end + 1)
        value.append(text)


def _escape(template: str, position: int) -> tuple[str, int]:
    letter = template[position : position + 1]
    if letter and letter in ESCAPES:
        return ESCAPES[letter], position + 1
    length = HEX_LENGTHS.get(letter)
    digits = template[position + 1 : position + 1 + length] if length else template[position : position + 3]
    try:
        code = int(digits, 16 if length else 8)
        if len(digits) != (length or 3) or not digits.isalnum():
            raise ValueError(digits)
        return chr(code), position + len(digits) + (1 if length else 0)
    except (ValueError, OverflowError):
        raise TemplateError(f"bad escape in a string: \\{letter}") from None


def _number(template: str, position: int, *, spaced: bool) -> tuple[Token, int]:
    end = position + 1
    while end < len(template) and (
        template[end].isalnum()
        or template[end] in "._"
        or (template[end] in "+-" and template[end - 1] in "eE")
    ):
        end += 1
    text = template[position:end]
    try:
        value: object = int(text, 0)
    except ValueError:
        try:
            real = float(text)
        except ValueError:
            raise TemplateError(f"bad number syntax: {text!r}") from None
        if real in (float("inf"), float("-inf")) or real != real:
            raise TemplateError(f"bad number syntax: {text!r}") from None
        value = int(real) if real.is_integer() and abs(real) < 1 << 63 and not text.count(".") else real
    return Token(NUMBER, text, value, spaced=spaced), end
