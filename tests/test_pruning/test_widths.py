"""Widths of channel groups within a budget."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmsrnas.costs import BudgetError, Cost
from mmsrnas.latency import OperatorTable
from mmsrnas.latency.table import Samples
from mmsrnas.pruning import (
    GroupCost,
    choose_widths,
    damage_curves,
    find_groups,
    remove_channels,
    scaled_widths,
    score_channels,
    width_options,
)
from mmsrnas.pruning.importance import strongest
from mmsrnas.registry import MODELS

EDSR = dict(type="EDSRNet", in_channels=3, out_channels=3, mid_channels=16, num_blocks=2)


@pytest.fixture(scope="module")
def net():
    import mmagic.models  # noqa: F401

    torch.manual_seed(0)
    return MODELS.build(EDSR | dict(upscale_factor=2)).eval()


@pytest.fixture(scope="module")
def groups(net):
    return find_groups(net)


@pytest.fixture
def latency(monkeypatch, tmp_path):
    """Milliseconds that depend on the shapes alone, in steps of four channels."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def measure(table, operator):
        sizes = [s.shape for s in operator.spec[1] if hasattr(s, "shape")]
        return Samples(sum(float(np.prod([4 * -(-n // 4) for n in size])) for size in sizes) / 1e6)

    monkeypatch.setattr(OperatorTable, "_measure", measure)
    return Cost("latency", target="torch:cpu:1:12x16")


@pytest.mark.parametrize("share", [0.6, 0.8])
def test_milliseconds_are_kept_and_used(net, groups, latency, share):
    cost = GroupCost(net, groups, latency)
    options = width_options(groups, 4)
    curves = damage_curves(net, groups, score_channels(net, groups, "l1"), options)
    budget = share * cost.exact(cost.full_widths)
    assert latency(cost.pruned(scaled_widths(cost, options, budget))) <= budget
    halves = tuple(
        min(o, key=lambda w, f=full: abs(w - f / 2))
        for o, full in zip(options, cost.full_widths, strict=True)
    )
    assert scaled_widths(cost, options, cost.exact(halves)) == halves
    chosen = choose_widths(cost, options, curves, budget)
    assert 0.8 * budget < latency(cost.pruned(chosen)) <= budget
    with pytest.raises(
        BudgetError, match=r"out of reach; .* smallest widths costs .* least possib"
    ):
        choose_widths(cost, options, curves, 1e-9)


def test_choice_is_close_to_the_best_of_all(net, groups):
    """Two groups, all combinations."""
    pair = [groups[0], groups[1]]
    cost = GroupCost(net, pair, "params")
    options = width_options(pair, 2)
    curves = [{w: (16 - w) ** 2 * f for w in o} for o, f in zip(options, (1.0, 3.0), strict=True)]
    for share in (0.4, 0.6, 0.9):
        budget = share * cost(cost.full_widths)
        widths = choose_widths(cost, options, curves, budget)
        assert cost(widths) <= budget
        damage = {
            (a, b): curves[0][a] + curves[1][b]
            for a in options[0]
            for b in options[1]
            if cost((a, b)) <= budget
        }
        assert damage[widths] <= 1.1 * min(damage.values())
    assert choose_widths(cost, options, curves, 1e9) == cost.full_widths
    # A loss that no width changes is no reason to leave the budget unused.
    flat = [dict.fromkeys(widths, 0.0) for widths in options]
    for share in (0.5, 0.8):
        budget = share * cost(cost.full_widths)
        assert 0.9 * budget < cost(choose_widths(cost, options, flat, budget)) <= budget


def test_taylor_is_the_change_of_the_loss_and_the_curve_is_measured(net, groups):
    torch.manual_seed(1)
    own = copy.deepcopy(net).double()
    batches = [dict(low=torch.rand(1, 3, 6, 7).double()) for _ in range(2)]
    for batch in batches:
        batch["high"] = torch.rand(1, 3, 12, 14).double()

    def objective(batch):
        return F.mse_loss(own(batch["low"]), batch["high"])

    scores = score_channels(own, groups, "taylor", batches, objective)
    group = groups[1]  # between two convolutions: a gate on one channel is exact
    expected = []
    for batch in batches:
        gate = torch.ones(16, dtype=torch.double, requires_grad=True)
        hook = own.get_submodule(group.consumer).register_forward_pre_hook(
            lambda module, args, gate=gate: (args[0] * gate[:, None, None],)
        )
        objective(batch).backward()
        hook.remove()
        expected.append(gate.grad.square())
    torch.testing.assert_close(scores[1], torch.stack(expected).mean(0), rtol=1e-9, atol=0)
    (curve,) = damage_curves(own, [group], [scores[1]], [[4, 16]], batches, objective)
    cut = copy.deepcopy(own)
    remove_channels(cut, [group], [strongest(scores[1], 4)])
    before = np.mean([objective(batch).item() for batch in batches])
    own, kept = cut, own
    after = np.mean([objective(batch).item() for batch in batches])
    own = kept
    assert curve == {4: pytest.approx(max(0.0, after - before), abs=1e-12), 16: 0.0}


def test_wrong_arguments_are_named(net, groups):
    with pytest.raises(ValueError, match="importance: expected one of"):
        score_channels(net, groups, "magic")
    with pytest.raises(ValueError, match="'taylor' needs batches"):
        score_channels(net, groups)
    with pytest.raises(ValueError, match="divisor: expected at least 1"):
        width_options(groups, 0)
    with pytest.raises(ValueError, match="no channels that can be removed"):
        choose_widths(GroupCost(net, [], "params"), [], [], 10)
    with pytest.raises(FloatingPointError, match="not finite"):
        score_channels(
            net,
            groups,
            "taylor",
            [dict(x=1)],
            lambda b: net(torch.rand(1, 3, 6, 6)).sum() * torch.inf,
        )
