"""The finite difference against the second derivative, which a small model can afford."""

import pytest
import tiny_search
import torch
from torch import nn

from mmsrnas.engine.virtual_step import virtual_step_gradients

RATES = (3.0, 1.0)


class Model(nn.Module):
    """Two mixed layers in float64; the second weight has a learning rate of its own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(4, 4, dtype=torch.double) / 2) for _ in range(2)
        )
        self.alpha = nn.Parameter(torch.randn(2, dtype=torch.double))
        self.inputs = torch.randn(2, 5, 4, dtype=torch.double)

    def loss(self, which, weights=None, alpha=None):
        first, second = weights or self.weights
        share = (self.alpha if alpha is None else alpha).softmax(0)
        x = self.inputs[which]
        for weight in (first, second):
            x = share[0] * torch.tanh(x @ weight) + share[1] * x
        return (x - 1).square().mean()


def by_autograd(model, decay):
    """Derivative of the whole bilevel step, and the part of it at fixed moved weights."""
    train = model.loss(0)
    descent = torch.autograd.grad(train, list(model.weights), create_graph=True)
    steps = zip(model.weights, descent, RATES, strict=True)
    moved = [w - rate * (d + decay * w) for w, d, rate in steps]
    loss = model.loss(1, weights=moved)
    fixed = model.loss(1, weights=[weight.detach() for weight in moved])
    return loss, *(torch.autograd.grad(x, model.alpha)[0] for x in (loss, fixed))


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_equals_autograd(decay):
    model = Model()
    before = [weight.detach().clone() for weight in model.weights]
    expected_loss, expected, fixed = by_autograd(model, decay)
    loss, (found,) = virtual_step_gradients(
        lambda: model.loss(0),
        lambda: model.loss(1),
        arch=[model.alpha],
        weights=list(model.weights),
        rates=RATES,
        decays=[decay] * 2,
    )
    torch.testing.assert_close(loss, expected_loss)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)
    # Without the finite difference, or with its sign or scale wrong, the test would fail.
    assert (fixed - expected).abs().max() > 100 * (found - expected).abs().max()
    assert all(torch.equal(a, b) for a, b in zip(before, model.weights, strict=True))


def test_without_rate_it_is_first_order():
    model = Model()
    _, (found,) = virtual_step_gradients(
        lambda: model.loss(0),
        lambda: model.loss(1),
        arch=[model.alpha],
        weights=list(model.weights),
        rates=[0.0] * 2,
        decays=[0.0] * 2,
    )
    torch.testing.assert_close(found, torch.autograd.grad(model.loss(1), model.alpha)[0])


def alpha_after_one_step(images, lr, **arch):
    """Alpha, and a weight, after one iteration with ``lr`` for the weights."""
    sgd = {"type": "SGD", "lr": 1.0}
    wrapper = {
        "constructor": "mmsrnas.SearchOptimWrapperConstructor",
        "optimizer": {"type": "SGD", "lr": lr},
    }
    arch = {"mode": "bilevel", "optimizer": sgd} | arch
    options = {"iters": 1, "augment": False, "arch": arch, "optim_wrapper": wrapper}
    supernet = tiny_search.runner(images, **options).train().generator
    return supernet.alpha.detach(), supernet.candidates[1].weight.detach()


def test_hook(images):
    first, weight = alpha_after_one_step(images, lr=0.5)
    second, after = alpha_after_one_step(images, lr=0.5, virtual_step={})
    without_rate, _ = alpha_after_one_step(images, lr=0.0, virtual_step={})
    torch.testing.assert_close(without_rate, first, rtol=1e-5, atol=1e-7)
    assert (second - first).abs().max() > 1e-4
    assert weight.shape == after.shape
    assert after.isfinite().all()


def test_mixed_has_no_virtual_step(images):
    with pytest.raises(ValueError, match=r"virtual_step: needs mode='bilevel'"):
        tiny_search.runner(images, arch={"virtual_step": {}})


def test_first_order_is_the_gradient_at_the_moved_weights():
    """Equals autograd at fixed moved weights; the second-order term would be seen."""
    model = Model()
    _, expected, fixed = by_autograd(model, 0.1)
    _, (found,) = virtual_step_gradients(
        lambda: model.loss(0),
        lambda: model.loss(1),
        arch=[model.alpha],
        weights=list(model.weights),
        rates=RATES,
        decays=[0.1] * 2,
        second_order=False,
    )
    torch.testing.assert_close(found, fixed)
    assert (fixed - expected).abs().max() > 1e-3


def test_hook_without_the_second_order_and_with_another_step(images):
    """The hook's step equals the same step written down here."""
    options = {"lr_factor": 3.0, "weight_decay": 0.5, "second_order": False}
    found, _ = alpha_after_one_step(images, lr=0.5, virtual_step=options)
    plain, _ = alpha_after_one_step(images, lr=0.5, virtual_step={"second_order": False})
    same, _ = alpha_after_one_step(
        images, lr=1.5, virtual_step={"weight_decay": 0.5, "second_order": False}
    )
    torch.testing.assert_close(found, same)
    assert (found - plain).abs().max() > 1e-4
