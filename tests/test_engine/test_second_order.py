"""The finite difference against the second derivative, which a small model can afford."""

import pytest
import tiny_search
import torch
from torch import nn

from mmsrnas.engine.second_order import second_order_gradients

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
    loss, (found,) = second_order_gradients(
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
    _, (found,) = second_order_gradients(
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
    second, after = alpha_after_one_step(images, lr=0.5, second_order=True)
    without_rate, _ = alpha_after_one_step(images, lr=0.0, second_order=True)
    torch.testing.assert_close(without_rate, first, rtol=1e-5, atol=1e-7)
    assert (second - first).abs().max() > 1e-4
    assert weight.shape == after.shape
    assert after.isfinite().all()


def test_mixed_has_no_second_order(images):
    with pytest.raises(ValueError, match=r"second_order: needs mode='bilevel'"):
        tiny_search.runner(images, arch={"second_order": True})
