"""The update of the policy, on problems whose solution is known."""

import pytest
import torch
from mmengine.optim import OptimWrapper

from mmsrnas.engine.runner import PolicyGradient
from mmsrnas.models import HNASController
from mmsrnas.models.hnas.cost import HNASCost
from mmsrnas.models.hnas.decoding import HNASSpace


def make(variant="default", lr=1e-3, **kwargs):
    torch.manual_seed(0)
    kwargs.setdefault("baseline_has_reward", variant == "official")
    controller = HNASController(HNASSpace(num_cells=4, num_nodes=2), 32, variant)
    optimizer = torch.optim.Adam(controller.parameters(), lr=lr, betas=(0.5, 0.999))
    return controller, PolicyGradient(controller, **kwargs), OptimWrapper(optimizer)


def gradients(controller, loss):
    controller.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in controller.parameters()])


def applied(gradient, controller, sample, rewards, progress=0.0):
    """The gradient of an update, which a wrapper hands over instead of taking the step."""

    class Recorder:
        def update_params(self, loss):
            self.gradient = gradients(controller, loss)

    recorder = Recorder()
    log = gradient.update(sample, rewards, recorder, progress)
    return recorder.gradient, log


def expected_gradient(controller, tokens, advantages, entropy_weight, parts):
    sample = controller.evaluate(tokens)
    total = 0
    for k, part in enumerate(parts):
        policy = (sample.log_probs[:, k] * torch.as_tensor(advantages)).mean()
        total = total - part * (policy + entropy_weight * sample.entropies[:, k].mean())
    return gradients(controller, total)


def test_fixed_takes_the_advantage_over_the_old_average():
    controller, gradient, _ = make(entropy_weight=(0.5, 0.1), baseline_momentum=0.9)
    controller.baseline.fill_(1.0)
    sample = controller.sample(3)
    found, log = applied(gradient, controller, sample, torch.tensor([2.0, 0.0, 4.0]), 0.25)
    expected = expected_gradient(controller, sample.tokens, [1.0, -1.0, 3.0], 0.4, (1, 1, 1))
    torch.testing.assert_close(found, expected)
    assert controller.baseline.item() == pytest.approx(0.9 * 1 + 0.1 * 2)
    assert log["reward"].item() == pytest.approx(2)


def test_official_takes_it_over_the_new_average_and_weighs_the_position_ten_times():
    controller, gradient, _ = make("official", entropy_weight=(1.0, 1.0))
    controller.baseline.fill_(1.0)
    sample = controller.sample(1)
    found, _ = applied(gradient, controller, sample, torch.tensor([3.0]))
    advantage = 0.95 * (3.0 - 1.0)
    expected = expected_gradient(controller, sample.tokens, [advantage], 1.0, (1, 1, 10))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("variant", ["default", "paper", "official"])
def test_the_first_reward_is_its_own_baseline(variant):
    controller, gradient, _ = make(variant, entropy_weight=(0.0, 0.0))
    found, _ = applied(gradient, controller, controller.sample(1), torch.tensor([5.0]))
    assert found.abs().max() == 0
    assert controller.baseline.item() == 5
    gradient.reset_baseline()
    assert controller.baseline.isnan()


def test_gradient_is_that_of_the_expected_reward():
    """On a space small enough to add up, the mean over samples is the derivative."""
    torch.manual_seed(0)
    space = HNASSpace(2, 1, ("rcab", "skip_connect"), ("nearest", "bilinear"))
    controller = HNASController(space, 8)
    with torch.no_grad():
        for p in controller.parameters():
            p.mul_(10)
    every = torch.cartesian_prod(*(torch.arange(size) for size in space.sizes))
    values = torch.randn(len(every), generator=torch.Generator().manual_seed(1))
    probs = controller.evaluate(every).log_probs.sum(1).exp()
    expected = gradients(controller, -(probs * values).sum())
    gradient = PolicyGradient(controller, (0.0, 0.0))
    controller.baseline.fill_((probs * values).sum().item())
    sample = controller.sample(50_000, torch.Generator().manual_seed(2))
    index = (every[None] == sample.tokens[:100, None]).all(2).int().argmax(1)
    assert torch.equal(every[index], sample.tokens[:100])
    codes = torch.tensor([2**k for k in range(len(space.sizes))])
    lookup = torch.empty(2 ** len(space.sizes)).index_put((every @ codes,), values)
    found, _ = applied(gradient, controller, sample, lookup[sample.tokens @ codes])
    cosine = torch.nn.functional.cosine_similarity(found, expected, dim=0)
    assert cosine > 0.98
    assert found.norm().item() == pytest.approx(expected.norm().item(), rel=0.1)


def test_policy_finds_cheap_architectures():
    torch.manual_seed(0)
    controller, gradient, wrapper = make(lr=5e-3)
    space = controller.space
    cost = HNASCost(space, dict(hr_size=(16, 16)), mid_channels=8)
    costs = []
    for update in range(120):
        sample = controller.sample(8)
        genotypes = [space.decode(row) for row in sample.tokens]
        rewards = torch.tensor([-0.8 * cost.normalised(genotype) for genotype in genotypes])
        log = gradient.update(sample, rewards, wrapper, update / 120)
        costs.append(sum(map(cost, genotypes)) / 8 / cost.mean)
    assert sum(costs[-20:]) / 20 < 0.5
    assert log["entropy"] < 0.8 * space.max_entropy()
    assert cost(space.decode(controller.argmax().tokens[0])) < 0.4 * cost.mean


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="entropy_weight"):
        make(entropy_weight=(0.1,))
    with pytest.raises(ValueError, match="baseline_momentum"):
        make(baseline_momentum=-0.1)
