r"""The words of Dockerfile instructions: quotes, escapes and variables.

The rules are the Dockerfile reference's: single quotes keep everything, double quotes let `\\"`,
`\\\\` and `\\$` through, elsewhere a backslash takes the next character literally; `$name`,
`${name}`, `${name:-word}` and `${name:+word}` are replaced outside single quotes.
"""

from __future__ import annotations

from lamina_runtime.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEEPEST = 8  # ${a:-${b:-…}}


def split(text: str) -> list[str]:
    """Take a line apart at white space outside quotes; quotes and escapes stay in the words."""
    words: list[str] = []
    current = ""
    quote = ""
    position = 0
    while position < len(text):
        letter = text[position]
        if letter == "\\" and quote != "'" and position + 1 < len(text):
            current += text[position : position + 2]
            position += 2
            continue
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter.isspace():
            if current:
                words.append(current)
            current = ""
            position += 1
            continue
        current += letter
        position += 1
    if quote:
        raise UsageError(f"unfinished quote in {text!r}")
    return [*words, current] if current else words


def plain(word: str, variables: Mapping[str, str], *, depth: int = 0) -> str:
    """Return what a word means: quotes and escapes taken off, variables replaced."""
    if depth > DEEPEST:
        raise UsageError(f"{word!r}: variables nested too deeply")
    out = ""
    quote = ""
    position = 0
    while position < len(word):
        letter = word[position]
        following = word[position + 1 : position + 2]
        if letter == "\\" and quote != "'" and following and (not quote or following in '"\\$'):
            out += following
            position += 2
        elif letter in "\"'" and quote in ("", letter):
            quote = "" if quote else letter
            position += 1
        elif letter == "$" and quote != "'":
            text, position = _variable(word, position + 1, variables, depth)
            out += text
        else:
            out += letter
            position += 1
    return out


def _variable(word: str, position: int, variables: Mapping[str, str], depth: int) -> tuple[str, int]:
    """Return the value of the variable behind a dollar sign, and where the word goes on."""
    if word[position : position + 1] != "{":
        end = position
        while end < len(word) and (word[end].isalnum() or word[end] == "_"):
            end += 1
        return (variables.get(word[position:end], "") if end > position else "$"), end
    level, end = 1, position + 1
    while end < len(word) and level:
        level += {"{": 1, "}": -1}.get(word[end], 0)
        end += 1
    if level:
        raise UsageError(f"{word!r}: '}}' is missing")
    inside = word[position + 1 : end - 1]
    name, colon, rest = inside.partition(":")
    if not name.replace("_", "a").isalnum() or (colon and rest[:1] not in tuple("-+")):
        raise UsageError(f"{word!r}: '${{{inside}}}' is not supported")
    value = variables.get(name, "")
    if colon and bool(value) is (rest[0] == "+"):
        value = plain(rest[1:], variables, depth=depth + 1)
    return value, end
