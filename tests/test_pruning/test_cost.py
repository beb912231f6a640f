import functools

import mmagic.models  # noqa: F401
import pytest
import torch
from mmengine.analysis import get_model_complexity_info

from mmsrnas.genotypes import DRCGenotype
from mmsrnas.models import DRNNet
from mmsrnas.pruning import WidthCost, find_sites, fit_widths
from mmsrnas.registry import MODELS
from mmsrnas.sizes import ShapesAlone, lr_size_of

SMALL = dict(upscale_factor=4, num_blocks=2, mid_channels=8)
EDSR = dict(type="EDSRNet", in_channels=3, out_channels=3, mid_channels=8, num_blocks=3)
WIDTHS = (4, 8, 12, 20, 16, 24, 8, 12)


def pruned():
    full = DRNNet(**SMALL)
    genotype = DRCGenotype("DRNNet", tuple(s.width for s in find_sites(full)), WIDTHS)
    return full, DRNNet(**SMALL, genotype=genotype)


def test_params_are_those_of_the_pruned_network():
    full, net = pruned()
    cost = WidthCost(full, find_sites(full), "params")
    assert cost.full() == sum(p.numel() for p in full.parameters())
    assert cost(WIDTHS) == sum(p.numel() for p in net.parameters())


def test_multi_adds_are_those_that_mmengine_counts():
    full, net = pruned()
    cost = WidthCost(full, find_sites(full), dict(hr_size=(96, 80)))
    for widths, module in ((cost.full_widths, full), (torch.tensor(WIDTHS), net)):
        info = get_model_complexity_info(module, (3, 24, 20), show_table=False, show_arch=False)
        assert cost(widths) == info["flops"]


def test_multi_adds_of_another_generator_are_for_720p():
    net = MODELS.build(EDSR)
    cost = WidthCost(net, find_sites(net))  # x4: LR 180 x 320
    info = get_model_complexity_info(net, (3, 18, 32), show_table=False, show_arch=False)
    assert cost.full() == 100 * info["flops"]
    with pytest.raises(ValueError, match=r"cost.type: expected one of .*multi_adds.*got 'macs'"):
        WidthCost(net, find_sites(net), "macs")


def papers_multi_adds(net, size):
    """As published: biases count, and so do the outputs at the lower levels."""
    total = 0

    def count(conv, inputs, output):
        nonlocal total
        per_pixel = conv.weight.numel() + (0 if conv.bias is None else conv.out_channels)
        total += per_pixel * output.shape[2] * output.shape[3]

    convs = [module for module in net.modules() if isinstance(module, torch.nn.Conv2d)]
    handles = [conv.register_forward_hook(count) for conv in convs]
    with ShapesAlone():
        net(torch.empty(1, 3, *size, device="meta"), pyramid=True)
    for handle in handles:
        handle.remove()
    return total / 1e9


PUBLISHED = {  # name: arguments, Multi-Adds (G) of 1280x720 HR and of a 96x96 LR patch
    "DRN-S x4": ({}, 687.0, 109.92),
    "DRN-L x4": (dict(num_blocks=40, mid_channels=20), 1404.8, 224.76),
    "DRN-S x8": (dict(upscale_factor=8, mid_channels=8), 309.3, 197.94),
    "DRN-L x8": (dict(upscale_factor=8, num_blocks=36, mid_channels=10), 572.5, 366.38),
    "DRN-S30 x4": (dict(genotype="DRNS_X4_P30"), 451.2, 72.20),
    "DRN-S50 x4": (dict(genotype="DRNS_X4_P50"), 331.4, 53.02),
    "DRN-S70 x4": (dict(genotype="DRNS_X4_P70"), 204.7, 32.75),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_multi_adds_of_the_published_networks(name):
    kwargs, at_720p, at_patch = PUBLISHED[name]
    with torch.device("meta"):
        net = DRNNet(**kwargs)
    size = lr_size_of((720, 1280), net.upscale_factor)
    published = papers_multi_adds(net, size)
    assert published == pytest.approx(at_720p, abs=0.05)
    assert papers_multi_adds(net, (96, 96)) == pytest.approx(at_patch, abs=0.005)
    if name.startswith("DRN-S") and name.endswith("x4"):
        # Without biases and lower outputs, as every other network here is counted.
        cost = known("DRN-S x4")[2]
        assert 0.99 < cost(net.genotype.widths) / 1e9 / published < 1


@functools.cache
def known(name, kind="multi_adds"):
    """A full network, its sites and their cost: found once for all tests."""
    if kind != "multi_adds":
        net, sites, _ = known(name)
        return net, sites, WidthCost(net, sites, kind)
    if name == "EDSR":
        net = MODELS.build(EDSR | dict(mid_channels=64, num_blocks=16)).to("meta")
    else:
        with torch.device("meta"):
            net = DRNNet(**(SMALL if name == "small" else PUBLISHED[name][0]))
    sites = find_sites(net)
    return net, sites, WidthCost(net, sites)


@pytest.mark.parametrize(
    ("name", "budget", "kind"),
    [
        ("DRN-S x4", 0.7, "params"),
        ("DRN-S x4", 0.3, "multi_adds"),
        *(("small", share, kind) for share in (0.7, 0.3) for kind in ("params", "multi_adds")),
        ("DRN-S x8", 0.5, "multi_adds"),
        ("EDSR", 0.5, "params"),  # of which the up-sampling alone costs more than 30 %
    ],
)
def test_fitted_widths_meet_the_budget(kind, budget, name):
    """Within 2 % and never over, for any wish."""
    torch.manual_seed(0)
    _, sites, cost = known(name, kind)
    candidates = [sorted({*range(4, s.width, 4), s.width}) for s in sites]
    for wanted in (cost.full_widths, cost.full_widths * (0.1 + torch.rand(len(sites)))):
        widths = fit_widths(wanted, candidates, cost, budget * cost.full())
        share = cost(widths) / cost.full()
        assert 0.98 * budget <= share <= budget
        assert all(1 <= width <= site.width for width, site in zip(widths, sites, strict=True))
        if name != "small":
            in_steps = zip(widths, candidates, strict=True)
            assert all(width in options for width, options in in_steps)


def test_fitted_widths_keep_the_proportions_that_are_wanted():
    _, sites, cost = known("DRN-S x4", "params")
    wanted = cost.full_widths.clone()
    wanted[3::2] /= 2
    candidates = [range(1, s.width + 1) for s in sites]
    widths = torch.tensor(fit_widths(wanted, candidates, cost, 0.5 * cost.full())).double()
    ratio = widths / wanted
    assert ratio.max() / ratio.min() < 1.1


def test_budget_below_the_smallest_widths_is_refused():
    net = DRNNet(**SMALL)
    sites = find_sites(net)
    cost = WidthCost(net, sites, "params")
    with pytest.raises(ValueError, match="smallest widths costs"):
        fit_widths(cost.full_widths, [[s.width] for s in sites], cost, 0.9 * cost.full())


def test_cost_of_one_channel():
    net = DRNNet(**SMALL)
    cost = WidthCost(net, find_sites(net), "params")
    # A channel inside a residual block: 9 weights to and from each of 32 channels, and a bias.
    assert cost.of(2, [7, 8]) == [7 * (18 * 32 + 1), 8 * (18 * 32 + 1)]
