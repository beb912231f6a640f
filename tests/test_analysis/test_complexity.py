from argparse import ArgumentTypeError

import pytest
import torch
from mmengine.analysis import FlopAnalyzer
from torch import nn

from mmsrnas.analysis import (
    count_complexity,
    input_size_of,
    lr_size_of,
    read_hr_size,
    upscale_factor_of,
)
from mmsrnas.models.dlsr import DLSRNet, DLSRSupernet
from mmsrnas.registry import MODELS

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
    counts = count_complexity(network, input_size_of(network))
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
    assert upscale_factor_of(nn.Conv2d(1, 1, 3, padding=1)) == 1


def test_lr_size_is_rounded_up():
    sizes = [lr_size_of((720, 1280), scale) for scale in (1, 2, 3, 4)]
    assert sizes == [(720, 1280), (360, 640), (240, 427), (180, 320)]


def test_a_supernet_can_be_counted():
    assert count_complexity(DLSRSupernet(mid_channels=8), (3, 24, 24)).multi_adds > 0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "generator",
    [
        dict(type="mmsrnas.HiNASNet", genotype="HINAS_SR", upscale_factor=3, task="sr"),
        dict(type="mmsrnas.DLSRNet", genotype="DLSR_TINY", upscale_factor=3),
        dict(
            type="EDSRNet",
            mid_channels=4,
            num_blocks=1,
            upscale_factor=3,
            rgb_mean=[0.4],
            rgb_std=[1.0],
        ),
    ],
    ids=lambda generator: generator["type"],
)
def test_channels_of_the_input_are_the_networks(generator, channels):
    keys = ["in_channels", *["out_channels"] * (generator["type"] == "EDSRNet")]
    with torch.device("meta"):
        network = MODELS.build(generator | dict.fromkeys(keys, channels))
    assert input_size_of(network, (60, 80)) == (channels, 20, 27)
    assert count_complexity(network, (channels, 20, 27)).multi_adds > 0


def test_network_for_neither_gray_nor_colour_is_named():
    network = nn.Sequential(nn.Conv2d(2, 2, 3))
    with pytest.raises(ValueError, match=r"Sequential .*in_channels.*gray"):
        upscale_factor_of(network)


def test_size_of_the_command_line_is_width_first():
    assert read_hr_size("1280x720") == (720, 1280)
    for text in ("1280", "1280x", "0x720", "-1x5", "axb", "1x2x3"):
        with pytest.raises(ArgumentTypeError, match="WIDTHxHEIGHT"):
            read_hr_size(text)
