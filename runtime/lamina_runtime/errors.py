"""Failures that the user can act on, with the status that the command ends with."""


class LaminaError(Exception):
    """A failure the user can act on.  str() is the brief; the CLI prints details and hint below it."""

    exit_code: int = 1

    def __init__(self, brief: str, *, details: str = "", hint: str = "") -> None:
        super().__init__(brief)
        self.brief, self.details, self.hint = brief, details, hint

    def render(self) -> str:
        """Return the text for stderr: error, indented details, hint."""
        lines = [f"error: {self.brief}"]
        lines += [f"  {line}" for line in self.details.splitlines()]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class UsageError(LaminaError):
    """The command line makes no sense."""

    exit_code = 2


class NotFoundError(LaminaError):
    """What was named does not exist."""

    exit_code = 3


class IntegrityError(LaminaError):
    """Content is not what its digest says."""

    exit_code = 4


class NetworkError(LaminaError):
    """The network or a registry did not answer as it should."""

    exit_code = 5
