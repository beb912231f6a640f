import pytest
from networks import Nearest


@pytest.fixture
def network():
    return Nearest()
