import pytest
import torch
from mmengine.config import Config

from mmsrnas.apis import init_generator
from mmsrnas.checkpoint import CheckpointError
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


@pytest.fixture
def searched(tmp_path):
    """A checkpoint of a network that no config names."""
    network = DLSRNet({"ops": ["conv_1x1"] * 3, "connections": [[1, 0]], "mid_channels": 8})
    path = tmp_path / "searched.pth"
    state = {f"generator.{key}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": state, "meta": {"genotype": network.genotype.to_dict()}}, path)
    return path, network.eval()


@pytest.mark.parametrize("generator", [{}, {"genotype": "DLSR", "upscale_factor": 2}])
def test_checkpoint_is_enough(searched, generator):
    path, network = searched
    cfg = config(**generator)
    loaded = init_generator(cfg, path)
    image = torch.rand(1, 3, 20, 20)
    assert loaded.genotype == network.genotype
    assert torch.equal(loaded(image), network(image))
    assert cfg.model.generator.get("genotype") == generator.get("genotype")  # left as it was


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        ({"upscale_factor": 3}, "upscale_factor=3"),
        ({"mid_channels": 18}, "mid_channels=18"),
        ({"genotype": DLSRNet("DLSR_TINY").genotype.to_dict()}, "genotype=.*conv_5x5"),
    ],
)
def test_disagreement_names_both(searched, generator, message):
    with pytest.raises(CheckpointError, match=rf"(?s)conv_1x1.*Leave {message}"):
        init_generator(config(**generator), searched[0])


def test_network_of_another_method_is_refused(searched):
    cfg = Config({"model": {"generator": {"type": "mmsrnas.HNASNet", "genotype": "HNAS_A"}}})
    with pytest.raises(CheckpointError, match=r"(?s)conv_1x1.*cannot take its place"):
        init_generator(cfg, searched[0])


def test_override_is_taken_and_told(searched, tmp_path):
    """The same shapes, other connections: only the genotype tells the networks apart."""
    path, network = searched
    other = network.genotype.replace(connections=((0, 1),))
    other.save(tmp_path / "other.json")
    loaded = init_generator(config(genotype=str(tmp_path / "other.json")), path, True)
    assert loaded.genotype == other
    with pytest.raises(CheckpointError, match=r"other\.json"):
        init_generator(config(genotype=str(tmp_path / "other.json")), path)


def test_editor_with_averaged_weights_infers_with_them(tmp_path):
    network = DLSRNet("DLSR_TINY")
    raw = {f"generator.{key}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": raw}, tmp_path / "raw.pth")
    averaged = {key.replace("generator", "generator_ema"): w * 0 + 2 for key, w in raw.items()}
    torch.save({"state_dict": raw | averaged}, tmp_path / "averaged.pth")
    cfg = config(genotype="DLSR_TINY")
    cfg.model.type = "RealESRGAN"  # averages by default
    loaded = init_generator(cfg, tmp_path / "averaged.pth")
    assert all((weight == 2).all() for weight in loaded.parameters())
    with pytest.raises(CheckpointError, match="no 'generator_ema"):
        init_generator(cfg, tmp_path / "raw.pth")
    cfg.model.is_use_ema = False
    loaded = init_generator(cfg, tmp_path / "averaged.pth")
    assert torch.equal(next(loaded.parameters()), next(network.parameters()))
