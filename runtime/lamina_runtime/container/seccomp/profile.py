"""Profiles that users give: docker's format, which is linux.seccomp with conditions on the host.

Theory.  A file is read with bounds, each field is checked, and what is left after its "includes"
and "excludes" were looked at is linux.seccomp as the bundle keeps it.
"""

from __future__ import annotations

from lamina_runtime.container.seccomp.assembler import FilterError, result
from lamina_runtime.container.seccomp.tables import Architecture, go_name
from lamina_runtime.oci import json
from lamina_runtime.oci.errors import OciError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

LIMIT = 1 << 20
_OPS = frozenset(f"SCMP_CMP_{op}" for op in ("EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ"))
_ARGUMENTS = 6


def resolve(
    raw: bytes, source: str, *, capabilities: Collection[str], native: Sequence[Architecture], release: str
) -> dict[str, Any]:
    """Return linux.seccomp of a profile; FilterError where it is none.

    `capabilities` are the container's, without CAP_; `release` is the kernel's, as uname(2) has it.
    """
    try:
        value = json.load(raw, source, limit=LIMIT)
    except OciError as exc:
        raise FilterError(str(exc)) from None
    top = _mapping(value, source)
    action, number = _action(top, "defaultAction", "defaultErrnoRet", source)
    made: dict[str, Any] = {"defaultAction": action}
    if number is not None:
        made["defaultErrnoRet"] = number
    made["architectures"] = _architectures(top, native, source)
    made["syscalls"] = []
    for at, row in enumerate(_list(top.get("syscalls"), source)):
        what = f"{source}: syscalls[{at}]"
        kept = _mapping(row, what)
        if _applies(kept, {f"CAP_{name}" for name in capabilities}, go_name(native[0]), release, what):
            made["syscalls"].append(_rule(kept, what))
    return made


def _architectures(top: Mapping[str, Any], native: Sequence[Architecture], source: str) -> list[str]:
    own = native[0].spec
    found = [own]
    for row in _list(top.get("archMap"), source):
        pair = _mapping(row, f"{source}: archMap")
        if pair.get("architecture") == own:
            found += _words(pair.get("subArchitectures"), f"{source}: subArchitectures")
    return list(dict.fromkeys(found + _words(top.get("architectures"), f"{source}: architectures")))


def _applies(row: Mapping[str, Any], held: Collection[str], machine: str, release: str, what: str) -> bool:
    wanted, unwanted = (_mapping(row.get(key) or {}, f"{what}: {key}") for key in ("includes", "excludes"))
    if not set(_words(wanted.get("caps"), what)) <= set(held):
        return False
    if set(_words(unwanted.get("caps"), what)) & set(held):
        return False
    if wanted.get("arches") and machine not in _words(wanted["arches"], what):
        return False
    if machine in _words(unwanted.get("arches"), what):
        return False
    return all(
        (_version(release, what) >= _version(text, what)) is expected
        for text, expected in ((wanted.get("minKernel"), True), (unwanted.get("minKernel"), False))
        if text
    )


def _version(text: object, what: str) -> tuple[int, int]:
    import re  # who wishes no profile does without

    match = re.match(r"(\d{1,9})\.(\d{1,9})", text) if isinstance(text, str) else None
    if not match:
        raise FilterError(f"{what}: no version of a kernel: {text!r}")
    return int(match[1]), int(match[2])


def _rule(row: Mapping[str, Any], what: str) -> dict[str, Any]:
    names = [row["name"]] if isinstance(row.get("name"), str) and row["name"] else row.get("names")
    action, number = _action(row, "action", "errnoRet", what)
    rule: dict[str, Any] = {"names": _words(names, f"{what}: names"), "action": action}
    if number is not None:
        rule["errnoRet"] = number
    args = [_argument(arg, f"{what}: args") for arg in _list(row.get("args"), what)]
    return rule | ({"args": args} if args else {})


def _action(row: Mapping[str, Any], key: str, number: str, what: str) -> tuple[str, int | None]:
    action, value = row.get(key), row.get(number)
    if not isinstance(action, str):
        raise FilterError(f"{what}: {key} is missing")
    if value is not None and (type(value) is not int or not 0 <= value <= 0xFFFF):
        raise FilterError(f"{what}: {number}: {value!r} is no number of an error")
    if action == "SCMP_ACT_NOTIFY":  # whoever listens is ours: see emulation
        raise FilterError(f"{what}: {key} {action} is not supported")
    result(action, value)  # refuses what a filter cannot do
    return action, value


def _argument(value: object, what: str) -> dict[str, Any]:
    arg = _mapping(value, what)
    index, op = arg.get("index"), arg.get("op")
    numbers = [arg.get("value", 0), arg.get("valueTwo", 0)]
    if type(index) is not int or not 0 <= index < _ARGUMENTS or op not in _OPS:
        raise FilterError(f"{what}: index {index!r} and op {op!r} make no comparison")
    if any(type(number) is not int or not 0 <= number < 1 << 64 for number in numbers):
        raise FilterError(f"{what}: a value that is no 64-bit number")
    two = {"valueTwo": numbers[1]} if numbers[1] else {}
    return {"index": index, "value": numbers[0], **two, "op": op}


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise FilterError(f"{what}: not an object")
    return value


def _list(value: object, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise FilterError(f"{what}: not a list")
    return value


def _words(value: object, what: str) -> list[str]:
    words = _list(value, what)
    if not all(isinstance(word, str) for word in words):
        raise FilterError(f"{what}: not a list of words")
    return words
