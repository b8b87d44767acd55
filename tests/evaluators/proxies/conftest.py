import pytest
import torch

from archwright.evaluators.supernet.network import Supernet
from archwright.evaluators.supernet.plan import InputShape
from archwright.evaluators.supernet.space import network_space

SHAPE = InputShape(1, 16, 10)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", params=["mbconv", "universal"])
def supernet(request) -> Supernet:
    generator = torch.Generator().manual_seed(0)
    return Supernet(network_space(SHAPE, request.param), SHAPE, generator)


@pytest.fixture(scope="session")
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(16, 1, 16, 16, generator=generator)
    return images, torch.arange(16) % 10
