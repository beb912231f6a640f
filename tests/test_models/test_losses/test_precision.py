"""All losses inside autocast: values and gradients are those of float32."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmsrnas.models.losses import (
    ComplexityLoss,
    DistillationLoss,
    DualRegressionLoss,
    HFENLoss,
    SSIMLoss,
    SumLoss,
)
from mmsrnas.models.losses import __all__ as every_loss
from mmsrnas.models.losses.precision import full_precision

HALF = (torch.bfloat16, torch.float16)


def images():
    """A target, and a prediction that is nearly equal to it: a blurred copy."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(2, 3, 48, 48, generator=generator)
    target = F.avg_pool2d(F.pad(noise, (2, 2, 2, 2), "reflect"), 5, 1)
    target = (target - target.min()) / (target.max() - target.min())
    pred = target + 0.1 * (F.avg_pool2d(F.pad(target, (1, 1, 1, 1), "reflect"), 3, 1) - target)
    return pred, target


class Shrink(nn.Module):
    """A dual network without parameters, whose output is exact in any precision."""

    def forward(self, x):
        return x[..., ::2, ::2]


class Layered(nn.Module):
    """A network whose layer ``last`` reads the image itself."""

    def __init__(self):
        super().__init__()
        self.last = nn.Identity()

    def forward(self, x):
        return self.last(x)


def distillation(pred, target, layer):
    """A loss whose teacher returns the target, and a student the prediction."""
    loss = DistillationLoss(dict(type=Layered), layer=layer)
    student = Layered()
    loss.watch(student)
    return loss(target, student(pred))


LOSSES = {
    "SSIMLoss log": lambda pred, target: SSIMLoss()(pred, target),
    "SSIMLoss negative": lambda pred, target: SSIMLoss(mode="negative")(pred, target),
    "HFENLoss": lambda pred, target: HFENLoss()(pred, target),
    "SumLoss": lambda pred, target: SumLoss(
        [dict(type="mmsrnas.SSIMLoss", loss_weight=0.3), dict(type=nn.MSELoss)]
    )(pred, target),
    "DualRegressionLoss": lambda pred, target: DualRegressionLoss()(
        [Shrink()], [pred], [target[..., ::2, ::2]]
    ),
    "DualRegressionLoss unpaired": lambda pred, target: DualRegressionLoss()(
        [Shrink()], [pred], [target[..., ::2, ::2]], torch.tensor([True, False])
    ),
    "DistillationLoss image": lambda pred, target: distillation(pred, target, None),
    "DistillationLoss layer": lambda pred, target: distillation(pred, target, "last"),
    "ComplexityLoss": lambda pred, target: ComplexityLoss()(
        1 + (pred - target).square().mean(), budget=1.0
    ),
}


def test_every_loss_is_here():
    assert {name.split()[0] for name in LOSSES} == set(every_loss)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", LOSSES)
def test_autocast_changes_neither_value_nor_gradient(name, dtype):
    results = []
    for enabled in (False, True):
        pred, target = images()
        pred.requires_grad_()
        with torch.autocast("cpu", dtype, enabled=enabled):
            loss = LOSSES[name](pred, target)
        results.append((loss, torch.autograd.grad(loss, pred)[0]))
    (expected, gradient), (found, found_gradient) = results
    assert found.dtype == torch.float32
    assert expected > 0
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(found_gradient, gradient, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_predictions_are_compared_in_float32(name, dtype):
    """What a network in half precision returns is compared exactly, to its last digit."""
    pred, target = images()
    half = pred.to(dtype).requires_grad_()
    full = half.detach().float().requires_grad_()
    with torch.autocast("cpu", dtype):
        loss = LOSSES[name](half, target)
    expected = LOSSES[name](full, target)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    (gradient,) = torch.autograd.grad(loss, half)
    (expected,) = torch.autograd.grad(expected, full)
    assert gradient.dtype == dtype
    assert F.cosine_similarity(gradient.flatten().double(), expected.flatten().double(), 0) > 0.99


def test_tensors_in_containers_are_cast_and_others_stay():
    @full_precision
    def types(values, *, extra, number):
        return [value.dtype for value in (*values, extra["x"])], number

    half, double = torch.ones(1, dtype=torch.half), torch.ones(1, dtype=torch.double)
    mask = torch.ones(1, dtype=torch.bool)
    found, number = types([half, double, mask], extra={"x": half}, number=3)
    assert found == [torch.float32, torch.double, torch.bool, torch.float32]
    assert number == 3
