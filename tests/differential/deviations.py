"""The one place where a difference to kernel overlayfs is let pass, each with its reason.

A filter sees the operation and both outcomes, or one line of a tree comparison, and answers
with its reason or "".  What is better here than in the kernel is also listed: the oracle is
kernel overlayfs as it is, not as its documentation wishes it were.
"""

from collections.abc import Callable

from tests.differential.operations import Op, Outcome

OutcomeFilter = Callable[[Op, Outcome, Outcome], str]


OUTCOME_FILTERS: tuple[OutcomeFilter, ...] = ()
LINE_FILTERS: tuple[Callable[[str], str], ...] = ()


def inner(op: Op) -> Op:
    """Strip the wrappers off an operation."""
    while op[0] in ("as_user", "same_ino"):
        op = op[-1]
    return op


def excuse(op: Op, expected: Outcome, found: Outcome) -> str:
    """Say why a different outcome is all right; "" if it is not."""
    return next((reason for check in OUTCOME_FILTERS if (reason := check(op, expected, found))), "")


def inexcusable(lines: list[str]) -> list[str]:
    """Keep the lines of a tree comparison that no filter explains."""
    return [line for line in lines if not any(check(line) for check in LINE_FILTERS)]
