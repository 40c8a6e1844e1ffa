"""What several test files of the package share."""

import pytest


@pytest.fixture(scope="module")
def one_thread():
    """How many threads share a sum decides its last digits."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
