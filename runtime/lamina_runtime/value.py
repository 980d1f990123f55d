"""Frozen values: what `dataclass(frozen=True, slots=True)` makes, without what it costs to import.

Theory.  dataclasses imports inspect, and compiles the methods of each class from text: some 7 ms and
half a millisecond a class, of the 50 ms in which a listing is to answer.  Here one set of methods serves
all classes.  What a listing does not touch may well be a dataclass.
"""

from __future__ import annotations

import _operator as operator  # operator itself compiles what it has in C already

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import MappingProxyType as MappingProxyType
    from typing import Any, TypeVar, dataclass_transform

    T = TypeVar("T")
    V = TypeVar("V")
else:
    MappingProxyType = type(type.__dict__)

    def dataclass_transform(**_: object) -> Callable[[V], V]:
        """Tell type checkers what value() does."""
        return lambda function: function


_DROPPED = ("__dict__", "__weakref__")
_put = object.__setattr__


class FrozenError(AttributeError):
    """A value was to be changed."""


@dataclass_transform(frozen_default=True, order_default=True)
def value(cls: type[T]) -> type[T]:
    """Make a class of values out of annotations and defaults; a method that it has itself stays.

    Two are equal if they are of one class and have equal fields, and are ordered by these in turn.
    A field whose name begins with an underscore is neither compared nor shown.
    """
    names = tuple(cls.__annotations__)
    kept = {name: found for name, found in cls.__dict__.items() if name not in (*names, *_DROPPED)}
    made = {**_METHODS, **kept, "__slots__": names, "__match_args__": names}
    made["_defaults"] = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
    made["_key"] = _key(tuple(name for name in names if not name.startswith("_")))
    if "__eq__" in kept and "__hash__" not in kept:
        del made["__hash__"]
    new: type[T] = type(cls.__name__, cls.__bases__, made)
    return new


def fields(found: Any) -> dict[str, Any]:
    """Return a value's fields by name."""
    return {name: getattr(found, name) for name in found.__match_args__}


def replace(found: V, /, **changes: object) -> V:
    """Return a value with other fields."""
    return type(found)(**{**fields(found), **changes})


def _key(names: tuple[str, ...]) -> property:
    if len(names) > 1:
        return property(operator.attrgetter(*names))
    return property(lambda self: tuple(getattr(self, name) for name in names))


def _key_of(found: Any) -> tuple[object, ...]:
    key: tuple[object, ...] = found._key  # noqa: SLF001 - our own
    return key


def _init(self: Any, *args: object, **named: object) -> None:
    names = self.__match_args__
    if len(args) > len(names):
        raise TypeError(f"{type(self).__name__}: {len(names)} arguments at most, not {len(args)}")
    for name, given in zip(names, args, strict=False):
        _put(self, name, given)
    for name in names[len(args) :]:
        if name in named:
            _put(self, name, named.pop(name))
        elif name in self._defaults:
            _put(self, name, self._defaults[name])
        else:
            raise TypeError(f"{type(self).__name__}: {name} is missing")
    if named:
        raise TypeError(f"{type(self).__name__}: {', '.join(named)}: unknown, or given twice")


def _frozen(self: object, name: str, _: object = None) -> None:
    raise FrozenError(f"{type(self).__name__}.{name} cannot be changed")


def _repr(self: Any) -> str:
    names = (name for name in self.__match_args__ if not name.startswith("_"))
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
    return f"{type(self).__name__}({shown})"


def _compared(by: Callable[[Any, Any], bool]) -> Callable[[Any, object], bool]:
    def compare(self: Any, other: object) -> bool:
        return by(_key_of(self), _key_of(other)) if type(self) is type(other) else NotImplemented

    return compare


_METHODS: dict[str, Any] = {
    "__init__": _init,
    "__setattr__": _frozen,
    "__delattr__": _frozen,
    "__repr__": _repr,
    "__eq__": _compared(operator.eq),
    "__lt__": _compared(operator.lt),
    "__le__": _compared(operator.le),
    "__gt__": _compared(operator.gt),
    "__ge__": _compared(operator.ge),
    "__hash__": lambda self: hash(_key_of(self)),
    "__reduce__": lambda self: (type(self), tuple(getattr(self, name) for name in self.__match_args__)),
}
