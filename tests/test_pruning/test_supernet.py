import copy
import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmsrnas.analysis import count_complexity, input_size_of
from mmsrnas.engine.hooks.arch_optimizer_hook import VirtualStep
from mmsrnas.engine.virtual_step import virtual_step_gradients
from mmsrnas.genotypes import GenotypeError
from mmsrnas.models import ComplexityLoss, DRNNet
from mmsrnas.pruning import ChannelNumberSearch, PrunedNet, remove_channels
from mmsrnas.pruning.supernet import official_candidates
from mmsrnas.registry import MODELS

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = dict(type="mmsrnas.DRNNet", upscale_factor=4, num_blocks=2, mid_channels=8)


@pytest.fixture
def search(reference):
    """The dumped search: network, its loss, and a supernet with the dumped alphas."""
    reference = reference("search_x4")
    net = ChannelNumberSearch(
        SMALL | dict(train_mean_shift=True), budget_share=0.7, variant="official"
    )
    net.double()
    net.generator.load_state_dict(reference.net.state_dict())
    groups = {key: [] for key in net.groups}
    for site, logits in zip(net.sites, reference.dump["alphas"], strict=True):
        groups[str(site.width)].append(merge(logits, site.width, torch.logsumexp))
    for key, rows in groups.items():
        net.alpha[key].data.copy_(torch.stack(rows))
    return net, reference


def merge(values, width, reduce):
    """Six values of the released code to those of the distinct candidates."""
    options = torch.tensor(official_candidates(width, 0.7))
    return torch.stack([reduce(values[options == n], 0) for n in options.unique()])


def assert_alpha_gradients(net, gradients, expected, rtol=0.0, atol=1e-9):
    position = dict.fromkeys(net.groups, 0)
    ours = dict(zip(net.groups, gradients, strict=True))
    for site, dumped in zip(net.sites, expected, strict=True):
        key = str(site.width)
        row = ours[key][position[key]]
        position[key] += 1
        # All duplicates of a candidate move its logit together.
        target = merge(dumped, site.width, torch.sum)
        torch.testing.assert_close(row, target, rtol=rtol, atol=atol)


def test_candidates_equal_the_released_ones(search):
    net, reference = search
    for site, expected in zip(net.sites, reference.dump["meta"]["channel_sets"], strict=True):
        assert official_candidates(site.width, 0.7) == expected
        assert net.candidates[str(site.width)] == sorted(set(expected))


@torch.no_grad()
def test_channel_weights_and_outputs_equal_the_released_code(search):
    net, reference = search
    for ours, expected in zip(
        net.channel_weights(), reference.dump["channel_weights"], strict=True
    ):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)
    images = net(reference.dump["trn_lr"][0] / 255, pyramid=True)
    for image, expected in zip(images, reference.dump["sr"], strict=True):
        torch.testing.assert_close(255 * image, expected, rtol=0, atol=1e-9)


def closures(net, reference):
    dump = reference.dump
    reference.duals.requires_grad_(False)

    def train():
        return reference.loss(dump["trn_lr"], dump["trn_hr"], net)

    def val():
        return reference.loss(dump["val_lr"], dump["val_hr"], net)

    weights = list(net.generator.parameters())
    return train, val, weights, [p for _, p in net.arch_parameters()]


def test_first_order_gradients_equal_the_released_code(search):
    net, reference = search
    dump = reference.dump
    train, val, _, alphas = closures(net, reference)
    for loss, value, expected in (
        (train, "trn_loss", "dalpha_train_firstorder"),
        (val, "val_loss_at_w", "dalpha_val_firstorder_at_w"),
    ):
        result = loss()
        assert result.item() == pytest.approx(dump[value], rel=1e-12)
        assert_alpha_gradients(net, torch.autograd.grad(result, alphas), dump[expected])


def test_first_order_after_a_virtual_step_equals_the_released_code(search):
    net, reference = search
    dump = reference.dump
    train, val, weights, alphas = closures(net, reference)
    descent = torch.autograd.grad(train(), weights)
    with torch.no_grad():
        for weight, gradient in zip(weights, descent, strict=True):
            weight -= 1e-4 * (gradient + 3e-4 * weight)
    loss = val()
    assert loss.item() == pytest.approx(dump["val_loss_at_wprime"], rel=1e-12)
    gradients = torch.autograd.grad(loss, alphas)
    assert_alpha_gradients(net, gradients, dump["dalpha_at_wprime"])
    # The released second-order term is zero by a slip of precedence.
    assert_alpha_gradients(net, gradients, dump["alpha_grad_official"])


def test_official_config_takes_the_released_step_on_our_range(search):
    """Loss on [0, 1], virtual step as in the config: the released gradient, divided by 255."""
    net, reference = search
    train, val, weights, alphas = closures(net, reference)
    cfg = Config.fromfile(CONFIGS / "drc/drc_search_official_x4_div2k.py")
    assert cfg.model.generator.generator.train_mean_shift
    arch = cfg.default_hooks.arch_optimizer
    step = VirtualStep(**arch.virtual_step)
    rate = cfg.optim_wrapper.optimizer.lr * step.lr_factor
    count = len(weights)
    loss, gradients = virtual_step_gradients(
        lambda: train() / 255,
        lambda: val() / 255,
        alphas,
        weights,
        [rate] * count,
        [step.decay_of({})] * count,
        step.second_order,
    )
    assert 255 * loss.item() == pytest.approx(reference.dump["val_loss_at_wprime"], rel=1e-12)
    gradients = [255 * gradient for gradient in gradients]
    assert_alpha_gradients(net, gradients, reference.dump["alpha_grad_official"])
    # The learning rates of alpha add up to those of the released cosine, 2500 * 3e-4 / 2.
    rates, eta = arch.optimizer.lr, arch.param_scheduler.eta_min
    steps = arch.param_scheduler.T_max
    shares = [(1 + math.cos(math.pi * i / steps)) / 2 for i in range(steps)]
    assert sum(eta + (rates - eta) * share for share in shares) == pytest.approx(0.375, rel=1e-2)
    assert steps == cfg.train_cfg.max_iters


def test_second_order_equals_the_corrected_code(search):
    net, reference = search
    train, val, weights, alphas = closures(net, reference)
    rates, decays = [1e-4] * len(weights), [3e-4] * len(weights)
    loss, gradients = virtual_step_gradients(train, val, alphas, weights, rates, decays)
    assert loss.item() == pytest.approx(reference.dump["val_loss_at_wprime"], rel=1e-12)
    assert_alpha_gradients(net, gradients, reference.dump["alpha_grad_correct"])


def double_loop_weights(net):
    """Channel weights as the released code makes them, one channel and candidate at a time."""
    position = dict.fromkeys(net.groups, 0)
    result = []
    for site in net.sites:
        key = str(site.width)
        probabilities = net.alpha[key][position[key]].softmax(0)
        position[key] += 1
        kernel = net.generator.get_submodule(site.consumer).weight
        order = kernel.abs().sum(dim=(0, 2, 3)).argsort(descending=True)
        weights = torch.zeros(site.width)
        for number, probability in zip(net.candidates[key], probabilities, strict=True):
            for channel in order[:number]:
                weights[channel] += probability
        result.append(weights)
    return result


def test_channel_weights_are_the_probabilities_to_be_kept():
    torch.manual_seed(0)
    net = ChannelNumberSearch(SMALL, budget_share=0.5)
    for alpha in net.alpha.values():
        alpha.data.normal_()
    with torch.no_grad():
        for ours, expected in zip(net.channel_weights(), double_loop_weights(net), strict=True):
            torch.testing.assert_close(ours, expected)
            assert ours.max() == pytest.approx(1) and ours.min() < 1


def test_decided_widths_are_the_masked_network():
    """With all probability on one candidate the supernet is the network without the others."""
    torch.manual_seed(0)
    net = ChannelNumberSearch(SMALL, budget_share=0.5).double()
    with torch.no_grad():
        for key in net.alpha:
            net.alpha[key].zero_()[:, 1] = 1000
    masked = copy.deepcopy(net.generator)
    for site in net.sites:
        weight = masked.get_submodule(site.consumer).weight
        norms = weight.abs().sum(dim=(0, 2, 3))
        width = net.candidates[str(site.width)][1]
        weight.data[:, norms.argsort()[: site.width - width]] = 0
        assert width == 8
    x = torch.rand(1, 3, 8, 9, dtype=torch.double)
    with torch.no_grad():
        torch.testing.assert_close(net(x), masked(x), rtol=0, atol=1e-9)
    full = [site.width for site in net.sites]
    cost = net.cost([8] * len(full))
    assert net.expected_cost().item() == pytest.approx(cost)


@pytest.mark.parametrize("cost", ["params", "multi_adds"])
@pytest.mark.parametrize("budget", [0.7, 0.5, 0.3])
def test_genotype_meets_the_budget(cost, budget):
    torch.manual_seed(0)
    net = ChannelNumberSearch(SMALL, budget_share=budget, cost=cost)
    for alpha in net.alpha.values():
        alpha.data.normal_(std=3)
    genotype = net.genotype()
    share = net.cost(genotype.widths) / net.cost.full()
    assert 0.98 * budget <= share <= budget
    pruned = DRNNet(genotype=genotype)
    if cost == "params":
        full = sum(p.numel() for p in net.generator.parameters())
        assert sum(p.numel() for p in pruned.parameters()) / full == pytest.approx(share)


def test_complexity_loss_drives_the_expected_cost_to_the_budget():
    torch.manual_seed(0)
    net = ChannelNumberSearch(SMALL, budget_share=0.3)
    loss = ComplexityLoss()
    sgd = torch.optim.SGD([p for _, p in net.arch_parameters()], lr=1.0)
    assert net.expected_cost() > 0.4 * net.cost.full()
    for _ in range(200):
        sgd.zero_grad()
        loss(net.expected_cost(), budget=net.budget).backward()
        sgd.step()
    assert net.expected_cost().item() == pytest.approx(net.budget, rel=0.03)


def test_absolute_budget_is_the_share_of_the_full_cost():
    share = ChannelNumberSearch(SMALL, budget_share=0.5)
    full = count_complexity(share.generator, input_size_of(share.generator)).multi_adds
    assert share.cost.full() == full
    assert share.budget == pytest.approx(full / 2)
    assert ChannelNumberSearch(SMALL, budget=full // 2).budget == full // 2
    assert ChannelNumberSearch(SMALL, budget_share=0.7, variant="official").budget is None


def test_merged_candidates_keep_their_probability():
    torch.manual_seed(0)
    net = ChannelNumberSearch(SMALL, budget_share=0.7, variant="official")
    assert net.candidates["16"] == [4, 8, 12]
    expected = torch.tensor([2 / 6, 3 / 6, 1 / 6])
    torch.testing.assert_close(net.alpha["16"][0].softmax(0), expected, rtol=0, atol=2e-3)
    widths = net.genotype().widths
    assert widths[:2] == (4, 8)
    assert all(width <= 20 for width in widths)


@pytest.mark.parametrize("channels", [1, 3])
def test_searches_a_generator_of_mmagic(channels):
    edsr = dict(type="EDSRNet", in_channels=channels, out_channels=channels, mid_channels=16)
    edsr |= dict(num_blocks=4, upscale_factor=2, rgb_mean=[0.5] * channels)
    edsr |= dict(rgb_std=[1.0] * channels)
    net = ChannelNumberSearch(edsr, budget_share=0.7, cost="params")
    assert (net.in_channels, net.upscale_factor, net.min_size) == (channels, 2, 1)
    net(torch.rand(1, channels, 8, 8)).sum().backward()
    assert net.alpha["16"].grad.abs().sum() > 0
    pruned = MODELS.build(dict(type="mmsrnas.PrunedNet", genotype=net.genotype()))
    full = sum(p.numel() for p in net.generator.parameters())
    assert 0.98 * 0.7 <= sum(p.numel() for p in pruned.parameters()) / full <= 0.7


@pytest.mark.parametrize("variant", ["default", "official"])
def test_file_of_the_genotype_alone_rebuilds_the_decided_network(tmp_path, variant):
    """Layer by layer, with the arguments of the base network from the file."""
    torch.manual_seed(0)
    base = SMALL | dict(num_blocks=1, mid_channels=6, img_range=1.0)
    net = ChannelNumberSearch(base, budget_share=0.6, variant=variant)
    genotype = net.genotype()
    genotype.save(tmp_path / "genotype.json")
    kept = [torch.arange(width) for width in genotype.widths]
    remove_channels(net.generator, net.sites, kept)
    for built in (
        DRNNet(genotype=tmp_path / "genotype.json"),
        PrunedNet(tmp_path / "genotype.json"),
    ):
        assert str(built) == str(net.generator)
        assert built.genotype == genotype and built.img_range == 1.0
        built.load_state_dict(net.generator.state_dict(), strict=True)
        x = torch.rand(1, 3, 5, 4)
        torch.testing.assert_close(built(x), net.generator(x), rtol=0, atol=0)


def test_arch_parameters_are_in_the_state_dict():
    net = ChannelNumberSearch(SMALL, budget_share=0.5)
    names = dict(net.named_parameters())
    assert [name for name, _ in net.arch_parameters()] == ["alpha.8", "alpha.16", "alpha.32"]
    assert all(names[name] is parameter for name, parameter in net.arch_parameters())
    assert {name.partition(".")[0] for name in net.state_dict()} == {"alpha", "generator"}


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"variant: expected one of .*got 'all'"):
        ChannelNumberSearch(SMALL, budget_share=0.5, variant="all")
    for share in (0, 1.5, -1):
        with pytest.raises(ValueError, match=r"budget_share: expected a share in \(0, 1\]"):
            ChannelNumberSearch(SMALL, budget_share=share)
    for budgets in ({}, dict(budget=1e9, budget_share=0.5)):
        with pytest.raises(ValueError, match="budget, budget_share: expected one of them"):
            ChannelNumberSearch(SMALL, **budgets)
    with pytest.raises(ValueError, match=r"official. limits .* needs .budget_share"):
        ChannelNumberSearch(SMALL, budget=1e9, variant="official")
    for budgets in (dict(budget_share=0.05), dict(budget=1000)):
        with pytest.raises(ValueError, match=r"budget: .* out of reach; .*smallest widths costs"):
            ChannelNumberSearch(SMALL, **budgets)
    with pytest.raises(ValueError, match=r"cost.type: expected one of"):
        ChannelNumberSearch(SMALL, budget_share=0.5, cost="macs")
    with pytest.raises(ValueError, match="SRCNNNet has no pair of convolutions"):
        ChannelNumberSearch(dict(type="SRCNNNet"), budget_share=0.5)
    with pytest.raises(GenotypeError, match=r"num_blocks=30, but the network has num_blocks=2"):
        ChannelNumberSearch(SMALL | dict(genotype="DRNS_X8_P30"), budget_share=0.5)
