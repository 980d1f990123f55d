"""What holds for all tests of the registry client."""

from __future__ import annotations

import pytest

# httpcore 1.0 lets its inner generators be collected when a reader stops early; it has closed the connection.
HTTPCORE = pytest.mark.filterwarnings("ignore:Async generator 'httpcore:ResourceWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Declare what the library under ours does."""
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(HTTPCORE)
