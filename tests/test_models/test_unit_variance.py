"""Features of unit variance at the start of a training."""

import pytest
import torch
from torch import nn

from mmsrnas.models import ElasticNet, ElasticSupernet, HiNASNet, init_unit_variance
from mmsrnas.models.elastic.modules import LinearAnchor

IMAGES = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))


def chain(depth=5, width=8):
    torch.manual_seed(0)
    convs = [nn.Conv2d(3 if i == 0 else width, width, 3, padding=1) for i in range(depth)]
    layers = [layer for conv in convs for layer in (conv, nn.ReLU())]
    return nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1))


@torch.no_grad()
def test_scales_by_the_formula():
    net, expected = chain(), chain()
    assert init_unit_variance(net, IMAGES) == 6
    x = IMAGES
    for layer, start in zip(net, expected, strict=True):
        if isinstance(layer, nn.Conv2d) and layer is not net[-1]:
            features = nn.functional.conv2d(x, start.weight, padding=1)
            torch.testing.assert_close(layer.weight, start.weight / features.std())
            assert layer.bias.eq(0).all()
            assert layer(x).std() == pytest.approx(1, abs=1e-5)
        x = layer(x)
    assert net[-1].weight.eq(0).all() and net[-1].bias.eq(0).all()


@torch.no_grad()
def test_last_and_skipped_parts():
    net, start = chain(), chain()
    init_unit_variance(net, IMAGES, skip=["2"], zero_last=False)
    assert net(IMAGES).std() == pytest.approx(1, abs=1e-5)
    assert torch.equal(net[2].weight, start[2].weight)
    assert torch.equal(net[2].bias, start[2].bias)
    with pytest.raises(ValueError, match=r"Sequential has no part body; expected .* 0, 1"):
        init_unit_variance(net, IMAGES, skip=["body"])


def test_statistics_random_numbers_and_shared_modules_are_left_alone():
    shared = nn.Conv2d(3, 3, 3, padding=1)
    net = nn.Sequential(shared, nn.BatchNorm2d(3), nn.Dropout(), shared)
    before = torch.get_rng_state()
    assert init_unit_variance(net, IMAGES, zero_last=False) == 1
    assert torch.equal(torch.get_rng_state(), before)
    assert net[1].running_mean.eq(0).all() and net[1].num_batches_tracked == 0
    assert shared(IMAGES).std().item() == pytest.approx(1, abs=1e-5)


@torch.no_grad()
def test_learned_interpolation_keeps_its_meaning_and_branches_add_nothing():
    net = ElasticNet("ELASTIC_LARGE", reparameterized=True)
    init_unit_variance(net, IMAGES)
    bicubic = LinearAnchor(3, 2)
    assert torch.equal(net.anchor.weight, bicubic.weight)
    assert torch.equal(net(IMAGES), nn.functional.pixel_shuffle(bicubic(IMAGES), 2))
    assert net.fold().stem(IMAGES).std() == pytest.approx(1, abs=1e-5)


def test_supernet_is_reached_architecture_by_architecture():
    ops = ("conv_3x3", "conv_5x5")
    net = ElasticSupernet(num_cells=(1, 2), mid_channels=(4, 8), ops=ops, cells_per_stage=1)
    architectures = list(net.space.all())
    assert init_unit_variance(net, IMAGES, architectures=architectures) == 6
    assert init_unit_variance(net, IMAGES, architectures=architectures[:1]) == 3
    assert net.head.weight.eq(0).all()


def test_normalised_network_computes_the_same():
    torch.manual_seed(0)
    net = HiNASNet("HINAS_DENOISE", mid_channels=4)
    images = torch.rand(2, net.in_channels, 12, 12)
    before = net(images)
    init_unit_variance(net, images, zero_last=False)
    scaled = net(images)
    correlation = torch.corrcoef(torch.stack([before.flatten(), scaled.flatten()]))[0, 1]
    assert correlation > 0.9
