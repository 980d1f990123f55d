"""A store for each test."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lamina_runtime.engine.context import Engine
from lamina_runtime.store import Store


@pytest.fixture
def tmp_path(session_top: Path) -> Iterator[Path]:
    """A directory where fsync costs nothing, on most machines."""
    with tempfile.TemporaryDirectory(dir=session_top) as top:
        yield Path(top)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store.open(tmp_path / "store")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """What verbs work on, with an empty store."""
    return Engine(str(tmp_path / "data"))
