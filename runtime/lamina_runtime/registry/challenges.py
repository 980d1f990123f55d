"""WWW-Authenticate: what a registry wants before it serves us (RFC 9110, 11.6.1).

Theory. A header holds several challenges, and several headers may come. A challenge is a scheme and either
parameters or one opaque value; a comma may separate parameters or challenges, so a word followed by `=` is
a parameter and any other word starts the next challenge.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_LENGTH = 16 << 10
MAX_CHALLENGES = 8
MAX_PARAMETERS = 32

_PARAMETER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]+))")
_SCHEME = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?=\s|,|$)")
_OPAQUE = re.compile(r"[0-9A-Za-z._~+/-]+=*(?=\s*(?:,|$))")
_GAP = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate; scheme and names of parameters in lower case."""

    scheme: str
    parameters: dict[str, str]


def parse(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Return the challenges of all WWW-Authenticate headers, in order; what cannot be read ends a header."""
    found: list[Challenge] = []
    for header in headers:
        found += _parse_one(header[:MAX_LENGTH])
    return tuple(found[:MAX_CHALLENGES])


def _parse_one(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    position = _end_of_gap(text, 0)
    while position < len(text) and len(found) < MAX_CHALLENGES:
        parameter = _PARAMETER.match(text, position)
        scheme = _SCHEME.match(text, position)
        if parameter and found and len(found[-1].parameters) < MAX_PARAMETERS:
            name, quoted, plain = parameter.groups()
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            found[-1].parameters.setdefault(name.lower(), value)
            position = parameter.end()
        elif scheme:
            found.append(Challenge(scheme[1].lower(), {}))
            position = _after_opaque(text, scheme.end())
        else:
            break
        position = _end_of_gap(text, position)
    return found


def _after_opaque(text: str, position: int) -> int:
    """Skip the opaque value of a challenge (`Negotiate TlRM...`), if that is what follows the scheme."""
    start = _end_of_gap(text, position)
    opaque = _OPAQUE.match(text, start)
    if "," in text[position:start] or opaque is None or _SCHEME.match(text, start) is None:
        return position
    return opaque.end()


def _end_of_gap(text: str, position: int) -> int:
    gap = _GAP.match(text, position)
    return gap.end() if gap else position
