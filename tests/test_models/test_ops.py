import pytest
import torch

from mmsrnas.genotypes import DLSR_OPS
from mmsrnas.models.ops import Depthwise, MixedOp, _undilate
from mmsrnas.registry import OPS


@pytest.mark.parametrize("names", [DLSR_OPS, ("sep_conv_3x3", "conv_3x3", "dil_conv_5x5")])
def test_mixed_op_equals_the_literal_sum(names):
    """Output and every gradient, in float64."""
    torch.manual_seed(0)
    mixed = MixedOp(names, 6).double()
    x = torch.randn(2, 6, 16, 18, dtype=torch.double, requires_grad=True)
    weights = torch.rand(len(names), dtype=torch.double, requires_grad=True)
    literal = sum(w * op(x) for w, op in zip(weights, mixed.ops, strict=True))
    output = mixed(x, weights)
    torch.testing.assert_close(output, literal, rtol=0, atol=1e-12)
    inputs = (x, weights, *mixed.parameters())
    direction = torch.randn_like(output)
    for ours, reference in zip(
        torch.autograd.grad(output, inputs, direction),
        torch.autograd.grad(literal, inputs, direction),
        strict=True,
    ):
        torch.testing.assert_close(ours, reference, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("conv_1x1", 48**2),
        ("conv_7x7", 49 * 48**2),
        ("sep_conv_3x3", 2 * (9 * 48 + 48**2)),
        ("sep_conv_7x7", 2 * (49 * 48 + 48**2)),
        ("dil_conv_5x5", 25 * 48 + 48**2),
    ],
)
def test_parameters_of_the_candidates(name, params):
    op = OPS.build(dict(type=name, channels=48))
    assert sum(p.numel() for p in op.parameters()) == params


def test_undilated_kernel_is_the_same_convolution():
    conv = Depthwise(3, 5, dilation=2)
    x = torch.randn(1, 3, 20, 21)
    dense = torch.nn.functional.conv2d(x, _undilate(conv.weight, 2, 2), padding=4, groups=3)
    torch.testing.assert_close(conv(x), dense)
