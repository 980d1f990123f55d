"""`--filter` of listings: read once, then asked for each image."""

from __future__ import annotations

import re

from lamina_runtime.engine import moments, naming
from lamina_runtime.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lamina_runtime.engine.listing import Listed
    from lamina_runtime.oci.reference import Reference
    from lamina_runtime.store import Store

    Test = Callable[[Listed], bool]

LIST_KEYS = ("dangling", "label", "before", "since", "reference", "until")
PRUNE_KEYS = ("dangling", "label", "label!", "until")
TRUE, FALSE = ("true", "1", "t", "True", "TRUE"), ("false", "0", "f", "False", "FALSE")
LONGEST_PATTERN = 512


def parse(words: Iterable[str], allowed: Sequence[str]) -> dict[str, list[str]]:
    """Read `key=value` words; raise UsageError for a key that the verb does not know."""
    found: dict[str, list[str]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        key = key.strip().lower()
        if not equals:
            raise UsageError(f'invalid argument {word!r} for "-f, --filter" flag: name=value expected')
        if key not in allowed:
            raise UsageError(f"invalid filter '{key}'")
        found.setdefault(key, []).append(value.strip())
    return found


def tests(store: Store, wanted: dict[str, list[str]]) -> list[Test]:
    """Return what an image must pass; of several values of one key, one must hold (labels: all)."""
    made: list[Test] = []
    if "dangling" in wanted:
        made.append(_dangling(switch(wanted, "dangling")))
    made += [_label(label) for label in wanted.get("label", ())]
    made += [_unlabelled(label) for label in wanted.get("label!", ())]
    for key, newer in (("before", False), ("since", True)):
        images = [naming.resolve(store, word).image for word in wanted.get(key, ())]
        made += [_relative(image.created, newer=newer) for image in images]
    if "until" in wanted:
        made.append(_until(wanted["until"]))
    if "reference" in wanted:
        made.append(_reference(wanted["reference"]))
    return made


def switch(wanted: dict[str, list[str]], key: str) -> bool:
    """Return a filter's truth value."""
    values = set(wanted[key])
    if values <= set(TRUE):
        return True
    if values <= set(FALSE):
        return False
    raise UsageError(f"invalid filter '{key}={wanted[key][0]}'")


def _dangling(wanted: bool) -> Test:  # noqa: FBT001 - the only argument
    return lambda listed: (not listed.names) is wanted


def _has(listed: Listed, label: str) -> bool:
    key, equals, value = label.partition("=")
    labels = listed.image.config.config.labels
    return key in labels and (not equals or labels[key] == value)


def _label(label: str) -> Test:
    return lambda listed: _has(listed, label)


def _unlabelled(label: str) -> Test:
    return lambda listed: not _has(listed, label)


def _relative(created: str, *, newer: bool) -> Test:
    moment = moments.from_rfc3339(created) or 0.0

    def test(listed: Listed) -> bool:
        other = listed.created or 0.0
        return other > moment if newer else other < moment

    return test


def _until(values: list[str]) -> Test:
    if len(values) > 1:
        raise UsageError("more than one until filter specified")
    moment = moments.from_filter(values[0])
    if moment is None:
        raise UsageError(
            f"invalid filter 'until={values[0]}': a duration, a date or seconds since 1970 expected"
        )
    return lambda listed: (listed.created or 0.0) < moment


def _reference(patterns: list[str]) -> Test:
    compiled = [matcher(pattern) for pattern in patterns]
    return lambda listed: any(one(name.reference) for one in compiled for name in listed.names)


def matcher(pattern: str) -> Callable[[Reference], bool]:
    """Return docker's FamiliarMatch of a pattern: on the name with its tag, or without."""
    compiled = re.compile(_translated(pattern), re.DOTALL)

    def match(reference: Reference) -> bool:
        texts = (reference.familiar, reference.familiar_name, str(reference), reference.name)
        return any(compiled.fullmatch(text) for text in texts)

    return match


def _translated(pattern: str) -> str:
    """Turn Go's path.Match into a regular expression: no star crosses a slash."""
    if len(pattern) > LONGEST_PATTERN:
        raise UsageError(f"a pattern of {len(pattern)} characters is too long")
    out = ""
    position = 0
    while position < len(pattern):
        letter = pattern[position]
        position += 1
        if letter == "*":
            out += "[^/]*" if not out.endswith("[^/]*") else ""
        elif letter == "?":
            out += "[^/]"
        elif letter == "\\" and position < len(pattern):
            out += re.escape(pattern[position])
            position += 1
        elif letter == "[":
            end = pattern.find("]", position + 1)
            inside = pattern[position:end] if end > 0 else ""
            negated, inside = inside.startswith("^"), inside.removeprefix("^")
            if not inside or any(special in inside for special in "\\[&|~") or "--" in inside:
                raise UsageError(f"syntax error in pattern {pattern!r}")
            out += f"[{'^/' if negated else ''}{inside}]"
            position = end + 1
        else:
            out += re.escape(letter)
    try:
        re.compile(out)
    except re.error:
        raise UsageError(f"syntax error in pattern {pattern!r}") from None
    return out
