import itertools

import pytest
import torch
import torch.nn.functional as F
from hinas_official import translate_official_keys

from mmsrnas.genotypes import HINAS_OPS, GenotypeError, HiNASGenotype
from mmsrnas.models import HiNASNet, SSIMLoss

NETWORKS = {
    "dn_F20_path012": ("denoise", 1, 1),
    "dn_F8_path121": ("denoise", 1, 1),
    "sr_x2_F16_path01": ("sr", 2, 3),
    "sr_x4_F8_path00": ("sr", 4, 3),
}


def count(net):
    return sum(p.numel() for p in net.parameters())


def uniform_genotype(op, path, num_nodes, mid_channels):
    cell = ((op, 0), (op, 1)) * num_nodes
    return HiNASGenotype((cell,) * len(path), tuple(path), mid_channels)


@pytest.mark.parametrize("name", NETWORKS)
def test_official_networks_are_reproduced(dump, name):
    task, scale, channels = NETWORKS[name]
    data, genotype = dump(name)
    net = HiNASNet(genotype, task, scale, channels, variant="official")
    net.load_state_dict(translate_official_keys(data["state_dict"], genotype), strict=True)
    with torch.no_grad():
        output = net.eval()(data["input"])
    torch.testing.assert_close(output, data["output_eval"], rtol=0, atol=1e-5)
    first = F.mse_loss if task == "denoise" else F.l1_loss
    output = net.train()(data["input"])
    loss = first(output, data["target"]) / 2 + SSIMLoss(0.3)(output, data["target"])
    torch.testing.assert_close(loss, data["train_loss"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_is_used(dump, name):
    task, scale, channels = NETWORKS[name]
    _, genotype = dump(name)
    net = HiNASNet(genotype, task, scale, channels)
    net(torch.rand(2, channels, 16, 16)).square().mean().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize(
    ("op", "params"),
    [
        ("conv_3x3", (238_369, 360_009, 472_169)),
        ("sep_conv_3x3", (180_769, 223_209, 260_169)),
        ("dil_conv_5x5", (391_969, 705_609, 996_969)),
        ("skip_connect", (151_009, 164_169, 175_209)),
    ],
)
def test_denoising_parameter_counts(op, params):
    for path, expected in zip(([0, 0, 0], [1, 1, 1], [1, 2, 2]), params, strict=True):
        net = HiNASNet(uniform_genotype(op, path, 4, 20), "denoise", 1, 1)
        assert count(net) == expected


@pytest.mark.parametrize(
    ("scale", "op", "params"),
    [
        (2, "conv_3x3", (250_476, 339_356)),
        (2, "sep_conv_3x3", (232_812, 278_876)),
        (2, "dil_conv_5x5", (299_628, 492_956)),
        (2, "skip_connect", (222_444, 252_284)),
        (3, "conv_3x3", (267_771, 356_651)),
        (4, "sep_conv_3x3", (274_320, 320_384)),
        (8, "dil_conv_5x5", (507_168, 700_496)),
    ],
)
def test_super_resolution_parameter_counts(scale, op, params):
    for path, expected in zip(([0, 0], [1, 2]), params, strict=True):
        assert count(HiNASNet(uniform_genotype(op, path, 3, 16), "sr", scale, 3)) == expected


def test_dead_convolution_of_the_original_is_not_built(dump):
    data, genotype = dump("dn_F20_path012")
    dead = data["state_dict"]["reduce.0.weight"].numel()
    assert genotype.low_level_cell == 0
    assert count(HiNASNet(genotype, "denoise", 1, 1)) == 354_509 - dead


def test_default_variant_differs_only_in_the_second_activation(dump):
    data, genotype = dump("dn_F8_path121")
    state = translate_official_keys(data["state_dict"], genotype)
    nets = [HiNASNet(genotype, "denoise", 1, 1, variant=h).eval() for h in ("official", "default")]
    for net in nets:
        net.load_state_dict(state)
    nets[0].act = nets[1].act = torch.nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(nets[0](data["input"]), nets[1](data["input"]))


@pytest.mark.parametrize(("task", "scale"), [("denoise", 1), ("sr", 2), ("sr", 3), ("sr", 8)])
def test_zero_residual_returns_the_image(task, scale):
    net = HiNASNet(uniform_genotype("conv_3x3", (0, 1), 3, 4), task, scale, 3).eval()
    torch.nn.init.zeros_(net.last[0].weight)
    torch.nn.init.zeros_(net.last[0].bias)
    x = torch.rand(1, 3, 13, 17)
    expected = x if scale == 1 else F.interpolate(x, scale_factor=scale, mode="bicubic")
    torch.testing.assert_close(net(x), expected)


def test_mid_channels_override_the_genotype():
    genotype = uniform_genotype("conv_3x3", (0, 0, 0), 4, 10)
    assert count(HiNASNet(genotype, "denoise", 1, 1, mid_channels=20)) == 238_369


@pytest.mark.parametrize("activation", ["relu", "prelu"])
def test_other_activations(activation):
    cell = tuple(itertools.chain.from_iterable(((op, 0), (op, 1)) for op in HINAS_OPS[:-1]))
    net = HiNASNet(HiNASGenotype((cell,), (0,), 4, activation=activation), "sr", 2, 3)
    assert any(isinstance(m, torch.nn.PReLU) for m in net.modules()) == (activation == "prelu")
    assert net(torch.rand(2, 3, 8, 8)).shape == (2, 3, 16, 16)


def test_bad_arguments_are_refused():
    genotype = uniform_genotype("conv_3x3", (0,), 1, 4)
    with pytest.raises(ValueError, match="'task': unknown value 'derain'"):
        HiNASNet(genotype, "derain")
    with pytest.raises(ValueError, match="'variant': unknown value 'sigmoid'"):
        HiNASNet(genotype, "sr", variant="sigmoid")
    with pytest.raises(ValueError, match="'upscale_factor': expected 1 for task='denoise'"):
        HiNASNet(genotype, "denoise", 2)
    with pytest.raises(ValueError, match="in_channels=1 but the images have 3 channels"):
        HiNASNet(genotype, "denoise", 1, 1)(torch.rand(1, 3, 8, 8))
    with pytest.raises(GenotypeError, match="unknown genotype 'NOPE'"):
        HiNASNet("NOPE")


@torch.no_grad()
@pytest.mark.parametrize(("task", "scale"), [("denoise", 1), ("sr", 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_gray_and_colour_from_the_smallest_size_on(task, scale, channels):
    net = HiNASNet(uniform_genotype("dil_conv_5x5", (0, 1), 2, 2), task, scale, channels).eval()
    assert (net.in_channels, net.upscale_factor) == (channels, scale)
    for height, width in ((net.min_size, net.min_size), (net.min_size, 7), (6, 5)):
        output = net(torch.rand(2, channels, height, width))
        assert output.shape == (2, channels, scale * height, scale * width)
        assert output.isfinite().all()
