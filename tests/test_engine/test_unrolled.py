"""Architecture gradients after a virtual step, alone and in a search."""

import pytest
import tiny_search
import torch
from mmengine.runner import Runner

from mmsrnas.engine.hooks.arch_optimizer_hook import SEED_OFFSET
from mmsrnas.engine.unrolled import unrolled_gradient


def test_second_order_of_a_smooth_loss_equals_autograd():
    """Autograd through the virtual step, where central differences are nearly exact."""
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(5, dtype=torch.double))
    alpha = torch.nn.Parameter(torch.randn(3, dtype=torch.double))
    a, b = torch.randn(2, 5, 3, dtype=torch.double)

    def train(w=weight):
        return (torch.tanh(w) @ a @ alpha.softmax(0)).square()

    def val(w=weight):
        return torch.sin(w @ b @ alpha.softmax(0)) + (w**2).sum()

    (g,) = torch.autograd.grad(train(), weight, create_graph=True)
    virtual = weight - 0.1 * (g + 0.01 * weight)
    (expected,) = torch.autograd.grad(val(virtual), alpha)
    value, (ours,) = unrolled_gradient(train, val, [weight], [alpha], 0.1, 0.01, True)
    assert value.item() == pytest.approx(val(virtual).item())
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-7)
    _, (first,) = unrolled_gradient(train, val, [weight], [alpha], 0.1, 0.01)
    assert (first - expected).norm() > 100 * (ours - expected).norm()


def test_parameters_that_a_loss_does_not_read_count_as_constant():
    weight, unread, alpha = (torch.nn.Parameter(torch.ones(2)) for _ in range(3))

    def loss():
        return (weight * alpha).sum()

    _, (gradient,) = unrolled_gradient(loss, loss, [weight, unread], [alpha], 0.5, 0.0, True)
    # w' = 1 - 0.5 * 1; dL(w')/da = w', and the second order adds -0.5 * 1 * 1.
    torch.testing.assert_close(gradient, torch.zeros(2), rtol=0, atol=1e-3)
    assert torch.equal(unread, torch.ones(2))


def test_search_takes_the_gradient_one_step_ahead(images):
    unroll = {"weight_decay": 0.1}
    options = {"workers": 1, "iters": 2, "arch": {"mode": "bilevel", "unroll": unroll}}
    runner = tiny_search.runner(images, run="unrolled", **options)
    start = {key: value.clone() for key, value in runner.model.state_dict().items()}
    result = {k: v.clone() for k, v in runner.train().state_dict().items()}

    runner = tiny_search.runner(images, run="by_hand", **options)
    editor, cfg = runner.model, runner.cfg
    editor.load_state_dict(start)
    supernet = editor.generator
    arch = [supernet.alpha, supernet.beta]
    weights = [p for p in supernet.parameters() if all(p is not q for q in arch)]
    step_weights = torch.optim.Adam(weights, lr=0.01)
    step_arch = torch.optim.Adam(arch, lr=0.05, betas=(0.5, 0.999))
    train = iter(Runner.build_dataloader(cfg.train_dataloader, seed=3))
    held_out = iter(Runner.build_dataloader(cfg.custom_hooks[0].dataloader, seed=3 + SEED_OFFSET))

    def loss(batch):
        data = editor.data_preprocessor(batch, True)
        return (editor.generator(data["inputs"]) - data["data_samples"].gt_img).abs().mean()

    lr = 0.01
    for iteration in range(2):
        batch = next(train)
        gradients = torch.autograd.grad(loss(batch), weights)
        kept = [w.detach().clone() for w in weights]
        for w, g in zip(weights, gradients, strict=True):
            w.data -= lr * (g + 0.1 * w.data)
        for p, g in zip(arch, torch.autograd.grad(loss(next(held_out)), arch), strict=True):
            p.grad = g
        for w, old in zip(weights, kept, strict=True):
            w.data.copy_(old)
        step_arch.step()
        editor.zero_grad()
        loss(batch).backward()
        step_weights.param_groups[0]["lr"] = lr
        step_weights.step()
        lr = 0.01 * (1 + torch.cos(torch.tensor(torch.pi * (iteration + 1) / 50)).item()) / 2
    for name, value in editor.state_dict().items():
        torch.testing.assert_close(result[name], value, rtol=0, atol=1e-6)
    assert (result["generator.alpha"] - start["generator.alpha"]).abs().max() > 0.01


def test_unroll_needs_bilevel():
    with pytest.raises(ValueError, match="unroll: belongs to mode='bilevel', not 'mixed'"):
        tiny_search_hook = {"type": "mmsrnas.ArchOptimizerHook", "optimizer": {}, "dataloader": {}}
        from mmsrnas.registry import HOOKS

        HOOKS.build(tiny_search_hook | {"unroll": {}})
