"""The elastic network: what its branches sum up to, and that it is the chain of its genotype."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmsrnas.costs import count_params
from mmsrnas.genotypes import ElasticGenotype, GenotypeError
from mmsrnas.models import ElasticNet
from mmsrnas.models.elastic.modules import LinearAnchor, RepConv

GENOTYPE = ElasticGenotype(
    ("conv_3x3", "gate_3x3", "conv_5x5", "gate_3x3"), (8, 8, 12, 6), "prelu", "bicubic", 3, 1
)


def randomised(net):
    """Double precision, and no branch that is still silent."""
    torch.manual_seed(0)
    for parameter in net.double().parameters():
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    return net


def branch_by_branch(conv, x, out_channels):
    """The definition: every branch meets the image by itself."""
    i, o, k = x.shape[1], out_channels, conv.kernel_size[0]
    y = F.conv2d(x, conv.weight[:o, :i], conv.bias[:o], padding=k // 2)
    inner = F.conv2d(x, conv.expand[:, :i, None, None])
    y = y + F.conv2d(inner, conv.contract[:o], padding=k // 2)
    for point, kernel in zip(conv.points, conv.filters, strict=True):
        mixed = F.conv2d(x, point[:o, :i, None, None])
        y = y + F.conv2d(mixed, kernel.expand(o, 1, k, k), padding=k // 2, groups=o)
    return y


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("widths", [(6, 8), (4, 3)])
def test_a_convolution_is_the_sum_of_its_branches(kernel_size, widths):
    conv = randomised(RepConv(6, 8, kernel_size))
    i, o = widths
    x = torch.rand(2, i, 7, 9, dtype=torch.double)
    expected = branch_by_branch(conv, x, o)
    plain = nn.Conv2d(i, o, kernel_size, padding=kernel_size // 2).double()
    conv.fold_into(plain)
    torch.testing.assert_close(conv(x, o), expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(plain(x), expected, rtol=0, atol=1e-9)


def test_a_convolution_starts_as_a_plain_one_and_a_network_as_its_anchor():
    conv = RepConv(6, 8)
    x = torch.rand(1, 6, 5, 5)
    torch.testing.assert_close(conv(x), F.conv2d(x, conv.weight, conv.bias, padding=1))
    image = torch.rand(1, 1, 5, 5)
    for branches in (False, True):
        net = ElasticNet(GENOTYPE, reparameterized=branches)
        enlarged = F.interpolate(image, scale_factor=3, mode="bicubic")
        torch.testing.assert_close(net(image), enlarged)


def test_folding_in_the_middle_of_training_changes_nothing():
    net = randomised(ElasticNet(GENOTYPE, reparameterized=True))
    other = copy.deepcopy(net)
    x = torch.rand(2, 1, 9, 7, dtype=torch.double)
    target = torch.rand(2, 1, 27, 21, dtype=torch.double)
    for model in (net, other):
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(3):
            optimizer.zero_grad()
            F.l1_loss(model(x), target).backward()
            optimizer.step()
            if model is net:
                plain = net.fold()
                torch.testing.assert_close(plain(x), net(x), rtol=0, atol=1e-9)
    assert all(map(torch.equal, net.parameters(), other.parameters()))
    assert not torch.equal(net(x), randomised(ElasticNet(GENOTYPE, reparameterized=True))(x))


def test_the_folded_network_is_plain_and_its_state_is_that_of_a_network_trained_without():
    net = ElasticNet(GENOTYPE, reparameterized=True)
    plain, bare = net.fold(), ElasticNet(GENOTYPE)
    assert {type(m) for m in plain.modules()} <= {
        ElasticNet, nn.Conv2d, nn.ModuleList, nn.ParameterDict, LinearAnchor
    }  # fmt: skip
    bare.load_state_dict(plain.state_dict())
    assert plain.genotype == GENOTYPE
    assert count_params(plain) < count_params(net) / 2
    assert plain.fold().state_dict().keys() == plain.state_dict().keys()


def test_the_chain_is_that_of_the_genotype():
    """Written out in plain torch."""
    net = randomised(ElasticNet(GENOTYPE))
    x = torch.rand(1, 1, 6, 8, dtype=torch.double)
    stem, first, second, third, fourth, head = net.convolutions()
    y = F.prelu(stem(x), net.slopes["0"])
    y = y + F.prelu(first(y), net.slopes["1"])
    z = second(y)
    y = (z + y) * (torch.sigmoid(z) + 0.5)
    y = F.pad(y, (0, 0, 0, 0, 0, 4)) + F.prelu(third(y), net.slopes["3"])
    z = fourth(y)
    y = (z + y[:, :6]) * (torch.sigmoid(z) + 0.5)
    y = F.pixel_shuffle(head(y), 3) + F.interpolate(x, scale_factor=3, mode="bicubic")
    torch.testing.assert_close(net(x), y, rtol=0, atol=1e-12)
    assert list(net.slopes) == ["0", "1", "3"]


@pytest.mark.parametrize("activation", ["leaky_relu", "silu", "gelu"])
def test_activations_without_parameters(activation):
    net = ElasticNet(ElasticGenotype(("conv_3x3",), (4,), activation, "nearest", upscale_factor=1))
    x = torch.rand(1, 3, 5, 5)
    function = getattr(F, activation)
    slope = (0.1,) if activation == "leaky_relu" else ()
    y = function(net.stem(x), *slope)
    y = y + function(net.cells[0](y), *slope)
    torch.testing.assert_close(net(x), net.head(y) + x)
    assert not net.slopes


def test_wrong_genotypes_name_the_field():
    with pytest.raises(GenotypeError, match="'widths': expected 2 numbers"):
        ElasticGenotype(("conv_3x3", "conv_3x3"), (8,))
    with pytest.raises(GenotypeError, match=r"'ops\[0\]': unknown value 'conv_9x9'"):
        ElasticGenotype(("conv_9x9",), (8,))
    with pytest.raises(GenotypeError, match="'ops'"):
        ElasticGenotype((), ())


@pytest.mark.parametrize(("scale", "channels"), [(1, 1), (2, 3), (3, 1), (4, 3)])
def test_linear_anchor_starts_as_bicubic_interpolation(scale, channels):
    anchor = LinearAnchor(channels, scale).double()
    x = torch.rand(2, channels, 8, 9, dtype=torch.double)
    expected = F.interpolate(x, scale_factor=scale, mode="bicubic") if scale > 1 else x
    torch.testing.assert_close(F.pixel_shuffle(anchor(x), scale), expected, rtol=0, atol=1e-6)
