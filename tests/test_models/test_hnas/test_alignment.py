import itertools

import pytest
import torch
from torch import nn

from mmsrnas.genotypes import HNAS_PAPER_NORMAL_OPS
from mmsrnas.models import HNASNet, HNASSupernet
from mmsrnas.models.hnas.alignment import align
from mmsrnas.models.hnas.modules import HNASCell
from mmsrnas.models.hnas.normalization import batch_statistics
from mmsrnas.models.hnas.ops import RCAB, build_op


def agreement(net, x, count=12):
    """Mean correlation of the last features of random architectures."""
    features = []
    handle = net.conv_last.register_forward_hook(lambda m, args, out: features.append(args[0]))
    with torch.no_grad(), batch_statistics():
        for row in net.space.random(count, torch.Generator().manual_seed(1)):
            net(x, net.space.decode(row))
    handle.remove()
    flat = [f.double().flatten() for f in features]
    pairs = itertools.combinations(flat, 2)
    return torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs]).mean().item()


@pytest.mark.parametrize("ops", [HNAS_PAPER_NORMAL_OPS[:6], HNAS_PAPER_NORMAL_OPS])
def test_architectures_start_as_about_the_same_function(ops):
    torch.manual_seed(0)
    nets = [HNASSupernet(2, 4, normal_ops=ops, aligned=aligned) for aligned in (True, False)]
    x = torch.rand(2, 3, 12, 12)
    aligned, random = (agreement(net, x) for net in nets)
    assert aligned > 0.7
    assert random < 0.3


@pytest.mark.parametrize("scale", (2, 3, 4, 8))
@pytest.mark.parametrize("name", ["sub_pixel", "deconvolution"])
def test_upsampling_starts_near_interpolation(name, scale):
    torch.manual_seed(0)
    op = build_op(name, 6, scale, norm=False)
    x = torch.ones(1, 6, 5, 5) * torch.arange(1, 7)[:, None, None]
    aligned = nn.functional.interpolate(x, scale_factor=scale)
    with torch.no_grad():
        for conv in op.modules():
            if hasattr(conv, "weight"):
                conv.weight.zero_()  # without the noise
                conv.bias.zero_()
        align([op])
        torch.testing.assert_close(op(x), aligned)


def test_preprocessing_starts_as_the_mean_of_the_nodes():
    cell = HNASCell(3, num_nodes=4, norm=False)
    nn.init.zeros_(cell.preprocess[0][0].weight)
    align([cell])
    x = torch.rand(1, 12, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(cell.preprocess[0](x), x.view(1, 4, 3, 4, 4).mean(1))


def test_a_network_starts_aligned_too():
    torch.manual_seed(0)
    net = HNASNet("HNAS_B", mid_channels=4, aligned=True)
    block = next(module for module in net.modules() if isinstance(module, RCAB))
    x = torch.rand(1, 4, 5, 5)
    with torch.no_grad():
        torch.testing.assert_close(block(x), x)
    ((conv, *_), _) = net.cells[0].preprocess
    assert (conv.weight[:, :, 0, 0] > 0.5 * 4 / 16).sum() == 16
