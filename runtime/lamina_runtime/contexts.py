# ruff: noqa: ARG001, BLE001, N801 - words, signatures and what is caught are contextlib's
"""contextlib's words for what has to start at once, without the modules that contextlib brings along.

Theory.  contextlib loads collections, functools and types, a tenth of what a listing may take.  Here
are `contextmanager`, `suppress` and `ExitStack` as they are used in this package: managers for one
`with` each, not decorators, and nothing asynchronous.  Type checkers see contextlib's.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import ExitStack as ExitStack
    from contextlib import contextmanager as contextmanager
    from contextlib import suppress as suppress
else:

    class _Manager:
        """One entry into what a generator does around its `yield`."""

        __slots__ = ("_generator",)

        def __init__(self, generator):
            self._generator = generator

        def __enter__(self):
            try:
                return next(self._generator)
            except StopIteration:
                raise RuntimeError("generator didn't yield") from None

        def __exit__(self, kind, error, trace):
            if error is None:
                try:
                    next(self._generator)
                except StopIteration:
                    return False
                self._generator.close()
                raise RuntimeError("generator didn't stop")
            try:
                self._generator.throw(error)
            except StopIteration as stop:
                return stop is not error  # one that was raised within the `with` passes
            except BaseException as raised:
                # what passes through is raised by the `with` itself; so is a StopIteration, which a
                # generator lets out as the cause of a RuntimeError (PEP 479)
                if raised is error or (isinstance(error, StopIteration) and raised.__cause__ is error):
                    error.__traceback__ = trace
                    return False
                raise
            self._generator.close()
            raise RuntimeError("generator didn't stop after throw()")

    def contextmanager(function):
        """Make a function that returns a manager of a generator function."""

        def made(*args, **named):
            return _Manager(function(*args, **named))

        made.__name__, made.__qualname__ = function.__name__, function.__qualname__
        made.__module__, made.__doc__ = function.__module__, function.__doc__
        made.__wrapped__ = function
        return made

    class suppress:
        """Let exceptions of some kinds end the `with` and nothing more."""

        __slots__ = ("_kinds",)

        def __init__(self, *kinds):
            self._kinds = kinds

        def __enter__(self):
            return None

        def __exit__(self, kind, error, trace):
            return kind is not None and issubclass(kind, self._kinds)

    class ExitStack:
        """Managers and callbacks that end together, the last first, however the `with` ends."""

        __slots__ = ("_exits",)

        def __init__(self):
            self._exits = []

        def __enter__(self):
            return self

        def enter_context(self, manager):
            """Enter a manager; return what it gives."""
            given = manager.__enter__()
            self._exits.append(manager.__exit__)
            return given

        def callback(self, function, *args, **named):
            """Call a function at the end."""

            def leave(kind, error, trace):
                function(*args, **named)
                return False

            self._exits.append(leave)
            return function

        def pop_all(self):
            """Hand everything over to a new stack."""
            other = ExitStack()
            other._exits, self._exits = self._exits, []
            return other

        def close(self):
            """End everything now."""
            self.__exit__(None, None, None)

        def __exit__(self, kind, error, trace):
            first, pending = error, error
            while self._exits:
                leave = self._exits.pop()
                try:
                    if leave(type(pending) if pending else None, pending, pending and pending.__traceback__):
                        pending = None
                except BaseException as raised:
                    pending = raised
            if pending is not None and pending is not first:
                raise pending
            return first is not None and pending is None
