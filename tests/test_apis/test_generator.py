import pytest
import torch
from mmengine.config import Config

from mmsrnas.apis import init_generator
from mmsrnas.models.dlsr import DLSRNet


def config(**generator):
    return Config({"model": {"generator": {"type": "mmsrnas.DLSRNet", **generator}}})


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint of the tiny network as mmengine writes it, with a loss beside it."""
    network = DLSRNet("DLSR_TINY")
    state = {f"generator.{key}": value for key, value in network.state_dict().items()}
    path = tmp_path / "tiny.pth"
    torch.save({"state_dict": {**state, "pixel_loss.x": torch.ones(1)}}, path)
    return path, network.eval()


def test_weights_are_loaded(checkpoint):
    path, network = checkpoint
    loaded = init_generator(config(genotype="DLSR_TINY"), path)
    image = torch.rand(1, 3, 20, 20)
    assert not loaded.training
    assert torch.equal(loaded(image), network(image))


@pytest.mark.parametrize("other", [{}, {"genotype": "DLSR_TINY", "upscale_factor": 4}])
def test_checkpoint_of_another_network_is_refused(checkpoint, other):
    with pytest.raises(ValueError, match=r"(?s)tiny.pth': does not fit 'generator' .* genotype"):
        init_generator(config(**other), checkpoint[0])


def test_checkpoint_without_this_network_is_refused(tmp_path):
    torch.save({"state_dict": {"backbone.weight": torch.ones(1)}}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"has no 'generator\.' weights|does not fit"):
        init_generator(config(genotype="DLSR_TINY"), tmp_path / "other.pth")


def test_config_without_a_generator_is_refused():
    with pytest.raises(ValueError, match=r"no 'model.generator'"):
        init_generator(Config({"model": {"type": "MattingModel"}}))
