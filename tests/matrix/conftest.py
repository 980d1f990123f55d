"""The cells are written as tests are: what they assert is explained where it fails."""

import pytest

pytest.register_assert_rewrite("tests.matrix.cells")
