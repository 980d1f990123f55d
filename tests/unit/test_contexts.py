"""Our context managers do what contextlib's do."""

from __future__ import annotations

import contextlib
from types import ModuleType
from typing import Any

import pytest
from lamina_runtime import contexts


def manager(words: ModuleType, log: list[str], behaviour: str) -> Any:
    @words.contextmanager
    def made() -> Any:
        log.append("in")
        if behaviour == "never":
            return
        try:
            yield "given"
            if behaviour == "twice":
                yield
        except KeyError:
            log.append("caught")
            if behaviour == "lets out":
                raise
            if behaviour == "another":
                raise IndexError("another") from None
            if behaviour == "goes on":
                yield
        finally:
            log.append("out")

    return made()


BODIES = (None, KeyError("x"), ValueError("y"), StopIteration("z"), RuntimeError("r"))


def outcome(words: ModuleType, behaviour: str, raised: BaseException | None) -> tuple[str, list[str], bool]:
    log: list[str] = []
    try:
        with manager(words, log, behaviour) as given:
            log.append(given)
            if raised is not None:
                raise raised
    except Exception as error:  # noqa: BLE001 - compared below
        return f"{type(error).__name__}: {error}", log, error is raised
    return "", log, False


@pytest.mark.parametrize("raised", BODIES, ids=str)
@pytest.mark.parametrize("behaviour", ["swallows", "lets out", "another", "goes on", "twice", "never"])
def test_a_generator_as_a_manager(behaviour: str, raised: BaseException | None) -> None:
    assert outcome(contexts, behaviour, raised) == outcome(contextlib, behaviour, raised)


@pytest.mark.parametrize("raised", BODIES, ids=str)
def test_suppressing(raised: BaseException | None) -> None:
    def suppressing(words: ModuleType) -> str:
        try:
            with words.suppress(LookupError, StopIteration):
                if raised is not None:
                    raise raised
        except Exception as error:  # noqa: BLE001 - compared below
            return repr(error)
        return ""

    assert suppressing(contexts) == suppressing(contextlib)


@pytest.mark.parametrize("raised", BODIES, ids=str)
@pytest.mark.parametrize(
    "behaviours",
    [(), ("swallows",), ("lets out", "swallows"), ("another", "lets out"), ("swallows", "another"), ("call",),
     ("swallows", "fails"), ("fails", "lets out"), ("handed on", "swallows")],
    ids="-".join,
)  # fmt: skip
def test_a_stack(behaviours: tuple[str, ...], raised: BaseException | None) -> None:
    def stacked(words: ModuleType) -> tuple[str, list[str], str]:
        log: list[str] = []

        def fail() -> None:
            log.append("fails")
            raise KeyError("from a callback")

        try:
            with words.ExitStack() as stack:
                for behaviour in behaviours:
                    if behaviour == "call":
                        stack.callback(log.append, "called")
                    elif behaviour == "fails":
                        stack.callback(fail)
                    elif behaviour == "handed on":
                        other = stack.pop_all()
                        other.callback(log.append, "the other's")
                        other.close()
                    else:
                        stack.enter_context(manager(words, log, behaviour))
                if raised is not None:
                    raise raised
        except Exception as error:  # noqa: BLE001 - compared below
            return repr(error), log, repr(error.__context__)
        return "", log, ""

    assert stacked(contexts) == stacked(contextlib)
