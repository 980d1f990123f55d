"""Failures that the user can act on: one line, one exit status."""


class DriverError(Exception):
    """The request cannot be carried out; str() is the one line that the user reads."""

    exit_code = 1


class UsageError(DriverError):
    """The command line makes no sense."""

    exit_code = 2


class OptionError(UsageError):
    """An option is unknown, has a value that makes no sense, or asks for what is not had here."""
