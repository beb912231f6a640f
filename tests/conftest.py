"""Fixtures of all tests."""

from pathlib import Path

import pytest

import mmsrnas  # noqa: F401  (repairs the stack before mmagic is imported)

SHARED = Path(__file__).parents[1] / "../shared"


@pytest.fixture(scope="session")
def refs():
    """Folder of the reference outputs of the original implementations."""
    if not (SHARED / "refs").is_dir():
        pytest.skip("needs ../shared/refs")
    return SHARED / "refs"


@pytest.fixture(scope="session")
def real_images():
    """Folder of real training and benchmark images."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs ../shared/data")
    return SHARED / "data"
