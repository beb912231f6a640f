import pytest
import torch
from mmengine.analysis import FlopAnalyzer
from torch import nn

from mmsrnas.analysis import count_complexity, lr_size_of, upscale_factor_of
from mmsrnas.models.dlsr import DLSRNet, DLSRSupernet

# Parameters of the released checkpoints; Multi-Adds of the released code for a 1280x720 output,
# counted by thop, which takes convolutions without bias.
PUBLISHED = [
    ("DLSR", 2, 322_620, 67.306e9),
    ("DLSR", 3, 329_115, 30.599e9),
    ("DLSR", 4, 338_208, 17.719e9),
    ("DLSR_PARA", 2, 327_804, 68.501e9),
    ("DLSR_TINY", 2, 56_268, 12.068e9),
    ("DLSR_TINY", 4, 62_136, 3.353e9),
]


@pytest.mark.parametrize(("genotype", "scale", "params", "multi_adds"), PUBLISHED)
def test_dlsr_costs_what_the_released_networks_cost(genotype, scale, params, multi_adds):
    network = DLSRNet(genotype, upscale_factor=scale)
    width, height = lr_size_of((1280, 720), scale)
    counts = count_complexity(network, (3, height, width))
    assert counts.params == params
    assert counts.multi_adds == pytest.approx(multi_adds, rel=1e-4)


def test_mmengine_counts_the_same_convolutions():
    network = DLSRNet("DLSR_TINY").eval()
    with torch.no_grad():
        expected = FlopAnalyzer(network, torch.rand(1, 3, 40, 36)).by_operator()["conv"]
    assert count_complexity(network, (3, 40, 36)).multi_adds == expected


def test_only_convolutions_and_matrix_products_count():
    network = nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1, groups=2),  # 8 * 2 * 9 per pixel
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 6, 1),  # 8 * 6 on a quarter of the pixels
        nn.Upsample(scale_factor=4, mode="bilinear"),
    )
    counts = count_complexity(network, (4, 10, 20))
    assert counts.multi_adds == 200 * 8 * 2 * 9 + 50 * 8 * 6
    assert counts.params == 8 * 2 * 9 + 8 + 8 * 6 + 6


def test_the_network_is_left_as_it_was():
    network = DLSRNet("DLSR_TINY")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    count_complexity(network, (3, 24, 24))
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_scale_is_read_from_the_network(scale):
    assert upscale_factor_of(DLSRNet("DLSR_TINY", upscale_factor=scale)) == scale
    assert upscale_factor_of(nn.Conv2d(1, 1, 3, padding=1), in_channels=1) == 1


def test_lr_size_is_rounded_up():
    sizes = [lr_size_of((1280, 720), scale) for scale in (2, 3, 4)]
    assert sizes == [(640, 360), (427, 240), (320, 180)]


def test_a_supernet_can_be_counted():
    assert count_complexity(DLSRSupernet(mid_channels=8), (3, 24, 24)).multi_adds > 0
