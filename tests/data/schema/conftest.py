"""Lets these tests share the module beside them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def migrated() -> None:
    """Start with nothing."""
