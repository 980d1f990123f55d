"""Frozen values behave as frozen dataclasses do."""

from __future__ import annotations

import copy
import pickle

import pytest
from lamina_runtime.value import FrozenError, replace, value


@value
class Point:
    x: int
    y: int = 2


@value
class Place:
    x: int
    y: int = 2


@value
class One:
    x: int

    def __hash__(self) -> int:
        return 7


def test_fields_by_place_by_name_and_by_default() -> None:
    assert Point(1) == Point(1, 2) == Point(y=2, x=1)
    assert repr(Point(1)) == "Point(x=1, y=2)"
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)


@pytest.mark.parametrize("bad", [{}, {"x": 1, "z": 2}])
def test_wrong_fields_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(TypeError):
        Point(**bad)


def test_a_field_is_given_once() -> None:
    with pytest.raises(TypeError):
        Point(1, x=2)  # type: ignore[misc]
    with pytest.raises(TypeError):
        Point(1, 2, 3)  # type: ignore[call-arg]


def test_nothing_changes() -> None:
    point = Point(1)
    with pytest.raises(FrozenError):
        point.x = 3  # type: ignore[misc]
    with pytest.raises(FrozenError):
        del point.x
    with pytest.raises(AttributeError):
        point.z = 3  # type: ignore[attr-defined]
    assert replace(point, y=5) == Point(1, 5)


def test_equality_order_and_hash() -> None:
    assert Point(1) != Place(1)
    assert sorted([Point(2, 1), Point(1, 9)]) == [Point(1, 9), Point(2, 1)]
    assert len({Point(1), Point(1), Point(2)}) == 2
    assert One(1) != One(2)
    assert hash(One(1)) == 7
    with pytest.raises(TypeError):
        _ = Point(1) < Place(2)  # type: ignore[operator]


def test_copies() -> None:
    assert copy.deepcopy(Point(1)) == Point(1)
    assert pickle.loads(pickle.dumps(One(4))) == One(4)
