import pytest
import torch

from mmsrnas.genotypes import DLSR_OPS
from mmsrnas.models.dlsr.ops import OPS, MixedOp, build_op


@pytest.mark.parametrize(
    "names", [DLSR_OPS, ("sep_conv_3x3", "conv_5x5", "conv_3x3", "dil_conv_5x5")]
)
def test_mixed_op_equals_the_reference_sum(names):
    """Output and every gradient, in float64."""
    torch.manual_seed(0)
    mixed = MixedOp(names, 6).double()
    x = torch.randn(2, 6, 16, 18, dtype=torch.double, requires_grad=True)
    weights = torch.rand(len(names), dtype=torch.double, requires_grad=True)
    reference = sum(w * op(x) for w, op in zip(weights, mixed.ops, strict=True))
    output = mixed(x, weights)
    torch.testing.assert_close(output, reference, rtol=0, atol=1e-12)
    inputs = (x, weights, *mixed.parameters())
    direction = torch.randn_like(output)
    for ours, expected in zip(
        torch.autograd.grad(output, inputs, direction),
        torch.autograd.grad(reference, inputs, direction),
        strict=True,
    ):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


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
    op = build_op(name, 48)
    assert sum(p.numel() for p in op.parameters()) == params


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
    reference = sum(w * op(x) for w, op in zip(weights, mixed.ops, strict=True))
    output = mixed(x, weights)
    direction = torch.randn_like(output)
    ours = torch.autograd.grad(output, inputs, direction, retain_graph=True)
    expected = torch.autograd.grad(reference, inputs, direction)
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


def test_candidates_stand_in_the_order_of_the_genotype():
    assert tuple(OPS) == DLSR_OPS


@pytest.mark.parametrize("names", [("conv_1x1", "conv_3x3"), ("sep_conv_3x3", "dil_conv_3x3")])
def test_candidates_of_one_kind_are_refused(names):
    with pytest.raises(ValueError, match="one dense and one separable"):
        MixedOp(names, 4)


def test_unknown_candidate_is_refused():
    with pytest.raises(ValueError, match=r"expected one of conv_1x1.*got 'conv_9x9'"):
        build_op("conv_9x9", 4)
