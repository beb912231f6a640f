import pytest
import torch

from mmsrnas.genotypes import DLSR_OPS
from mmsrnas.models.ops import Depthwise, MixedOp
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


@pytest.mark.parametrize("size", [(20, 22), (17, 21)])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_dilated_convolution_by_phases_is_the_same(size, kernel_size):
    conv = Depthwise(3, kernel_size, dilation=2).double()
    x = torch.randn(2, 3, *size, dtype=torch.double, requires_grad=True)
    inputs = (x, conv.weight)
    phases = conv(x)
    reference = torch.nn.Conv2d.forward(conv, x)
    torch.testing.assert_close(phases, reference, rtol=0, atol=1e-12)
    direction = torch.randn_like(phases)
    ours = torch.autograd.grad(phases, inputs, direction)
    expected = torch.autograd.grad(reference, inputs, direction)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("frozen", ["weights", "kernels", "all"])
def test_gradients_of_the_mixture_with_frozen_parts(frozen):
    """The architecture step takes another way to the gradients than the weight step."""
    torch.manual_seed(0)
    mixed = MixedOp(DLSR_OPS, 6).double()
    mixed.requires_grad_(frozen == "weights")
    x = torch.randn(2, 6, 12, 13, dtype=torch.double, requires_grad=True)
    logits = torch.randn(len(DLSR_OPS), dtype=torch.double) * 3
    logits.requires_grad_(frozen == "kernels")
    inputs = [t for t in (x, logits, *mixed.parameters()) if t.requires_grad]
    weights = logits.softmax(0)
    literal = sum(w * op(x) for w, op in zip(weights, mixed.ops, strict=True))
    output = mixed(x, weights)
    direction = torch.randn_like(output)
    ours = torch.autograd.grad(output, inputs, direction, retain_graph=True)
    expected = torch.autograd.grad(literal, inputs, direction)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-10)


def test_vanishing_weight_of_the_largest_kernel_is_harmless():
    mixed = MixedOp(DLSR_OPS, 4).requires_grad_(False)
    logits = torch.zeros(len(DLSR_OPS)).index_fill_(0, torch.tensor(3), -200.0).requires_grad_()
    mixed(torch.randn(1, 4, 8, 8), logits.softmax(0)).square().sum().backward()
    assert logits.grad.isfinite().all()
    assert logits.grad[3] == 0


def test_bf16_autocast_gradients_follow_float32():
    torch.manual_seed(0)
    mixed = MixedOp(DLSR_OPS, 8)
    x = torch.randn(2, 8, 16, 16).contiguous(memory_format=torch.channels_last)
    weights = torch.full((len(DLSR_OPS),), 1 / 9, requires_grad=True)

    def gradients():
        loss = mixed(x, weights).float().square().mean()
        return torch.autograd.grad(loss, (weights, *mixed.parameters()))

    reference = gradients()
    with torch.autocast("cpu", torch.bfloat16):
        ours = gradients()
    for a, b in zip(ours, reference, strict=True):
        assert (a - b).norm() < 0.1 * b.norm()
