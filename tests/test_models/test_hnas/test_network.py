import math

import pytest
import torch
from hnas_official import translate_official_keys
from torch import nn

from mmsrnas.genotypes import GenotypeError, HNASGenotype, load_genotype
from mmsrnas.models import HNASNet
from mmsrnas.models.hnas.ops import UpDownProjection

DUMPS = ("arch_HNAS_A_c8_L12_p9_x2", "arch_HNAS_B_c8_L12_p11_x2")


def relative(value, reference):
    return ((value - reference).abs().max() / reference.abs().max()).item()


@pytest.fixture(params=DUMPS, scope="module")
def official(request, refs):
    path = refs / "hnas" / f"{request.param}.pt"
    if not path.exists():
        pytest.skip(f"no {path.name}")
    return torch.load(path, weights_only=True)


def load(dump):
    config = dump["config"]
    genotype = load_genotype(config["genotype"], "hnas")
    net = HNASNet(genotype, config["scale"], config["channels"])
    net.load_state_dict(translate_official_keys(dump["state_dict"]), strict=True)
    return net


def test_published_genotype_is_that_of_the_released_code(official):
    config = official["config"]
    genotype = load_genotype(config["genotype"], "hnas")
    assert genotype.upsampling_position == config["upsampling_pos_0based"]
    for field in ("normal", "upsampling"):
        edges = [(op, source) for op, source, _ in config[field]]
        assert list(getattr(genotype, field)) == edges


@torch.no_grad()
def test_equals_the_released_network(official):
    net = load(official).double()
    outputs = {}

    def keep(name):
        return lambda module, inputs, output: outputs.update({name: output.clone()})

    net.stem.register_forward_hook(keep("stem"))
    net.conv_last.register_forward_hook(keep("final_conv"))
    for index, cell in enumerate(net.cells):
        cell.register_forward_hook(keep(f"cell{index}"))
    x = official["input"].double() / 255
    assert relative(net(x) * 255, official["output_f64"]) < 1e-9
    assert outputs.keys() == official["acts_f64_crop"].keys()
    for name, reference in official["acts_f64_crop"].items():
        _, channels, height, width = reference.shape
        crop = outputs[name][:, :channels, :height, :width]
        assert relative(crop, reference) < 1e-9, name
    single = load(official)(official["input"] / 255) * 255
    assert relative(single, official["output_f32"]) < 1e-5


@torch.no_grad()
def test_up_and_down_equals_the_released_block(refs):
    for dump in torch.load(refs / "hnas" / "udpb_c8.pt", weights_only=True):
        block = UpDownProjection(8, dump["scale"])
        block.load_state_dict(translate_official_keys(dump["state_dict"]), strict=True)
        assert relative(block.double()(dump["input"].double()), dump["output_f64"]) < 1e-9


@pytest.mark.parametrize(
    ("genotype", "scale", "params"),
    [
        ("HNAS_A", 2, 974_019),
        ("HNAS_B", 2, 2_141_290),
        ("HNAS_C", 2, 2_542_545),
        ("HNAS_A", 4, 1_105_091),
        ("HNAS_B", 4, 2_502_250),
        ("HNAS_C", 4, 2_690_257),
    ],
)
def test_published_parameter_counts(genotype, scale, params):
    net = HNASNet(genotype, upscale_factor=scale)
    assert sum(p.numel() for p in net.parameters()) == params


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("position", [0, 2])
def test_every_operation_works_at_every_scale(scale, position):
    genotype = HNASGenotype(
        normal=(("rcab", 0), ("up_and_down", 1), ("dil_conv_5x5", 2), ("sep_conv_3x3", 0)),
        upsampling=(("sub_pixel", 0), ("deconvolution", 1), ("deconvolution", 2), ("area", 0)),
        upsampling_position=position,
        num_cells=3,
    )
    net = HNASNet(genotype, scale, mid_channels=3)
    assert net(torch.rand(1, 3, 5, 4)).shape == (1, 3, 5 * scale, 4 * scale)


def test_area_is_nearest_for_whole_factors():
    x = torch.rand(2, 3, 5, 7)
    for scale in (2, 3, 4, 8):
        area = nn.functional.interpolate(x, scale_factor=scale, mode="area")
        assert torch.equal(area, nn.functional.interpolate(x, scale_factor=scale, mode="nearest"))


def test_value_range_is_that_of_the_editor():
    torch.manual_seed(0)
    net = HNASNet("HNAS_A", mid_channels=4)
    nn.init.zeros_(net.conv_last.weight)
    nn.init.zeros_(net.conv_last.bias)
    output = net(torch.rand(1, 3, 8, 8))
    for channel, mean in enumerate((0.4488, 0.4371, 0.4040)):
        assert math.isclose(output[0, channel].mean().item(), mean, rel_tol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_global_skip_adds_bicubic_interpolation(scale):
    torch.manual_seed(0)
    skip = HNASNet("HNAS_A", scale, mid_channels=3, global_skip=True)
    x = torch.rand(1, 3, 6, 5)
    bicubic = nn.functional.interpolate(x, scale_factor=scale, mode="bicubic")
    assert torch.equal(skip(x), bicubic)
    plain = HNASNet("HNAS_A", scale, mid_channels=3)
    skip.load_state_dict(plain.state_dict())
    mean = plain.mean / plain.img_range
    torch.testing.assert_close(skip(x) - bicubic, plain(x) - mean, rtol=0, atol=1e-6)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"upscale_factor.*5"):
        HNASNet("HNAS_A", upscale_factor=5)
    with pytest.raises(GenotypeError, match="mid_channels"):
        HNASNet("HNAS_A", mid_channels=2)
    with pytest.raises(ValueError, match=r"in_channels.*got 4"):
        HNASNet("HNAS_A", in_channels=4)


@torch.no_grad()
def test_gray_network_reads_and_writes_one_channel():
    torch.manual_seed(0)
    net = HNASNet("HNAS_A", mid_channels=3, in_channels=1)
    assert (net.in_channels, net.upscale_factor, net.genotype.in_channels) == (1, 2, 1)
    assert net(torch.rand(1, 1, 7, 9)).shape == (1, 1, 14, 18)
    nn.init.zeros_(net.conv_last.weight)
    nn.init.zeros_(net.conv_last.bias)
    mean = 0.299 * 0.4488 + 0.587 * 0.4371 + 0.114 * 0.4040
    assert math.isclose(net(torch.rand(1, 1, 8, 8)).mean().item(), mean, rel_tol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("global_skip", [True, False])
def test_smallest_image_is_one_pixel(global_skip):
    net = HNASNet("HNAS_B", mid_channels=3, global_skip=global_skip)
    size = net.min_size
    assert size == 1
    assert net(torch.rand(1, 3, size, size)).shape == (1, 3, 2, 2)


def test_arguments_and_genotype_describe_the_same_network(tmp_path):
    net = HNASNet("HNAS_A", 3, mid_channels=5, global_skip=True, in_channels=1)
    net.genotype.save(tmp_path / "genotype.json")
    again = HNASNet(tmp_path / "genotype.json")
    assert again.genotype == net.genotype
    assert (again.mid_channels, again.upscale_factor, again.in_channels) == (5, 3, 1)
    again.load_state_dict(net.state_dict())
    x = torch.rand(1, 1, 5, 6)
    assert torch.equal(again(x), net(x))
    assert HNASNet("HNAS_A", mid_channels=3).global_skip is False
    with pytest.raises(GenotypeError, match="expected 'hnas'"):
        HNASNet("DLSR")
