"""Costs and budgets mean the same in the search of every method."""

import pytest
import torch
from torch import nn

from mmsrnas.costs import COSTS, BudgetError, build_cost
from mmsrnas.genotypes import DLSR_OPS, HINAS_OPS
from mmsrnas.latency import NoisyMeasurementError, OperatorTable, parse_target, table, targets
from mmsrnas.models.supernet import BudgetedSupernet, CostedSupernet, RankedSupernet
from mmsrnas.registry import MODELS

TARGET = "torch:cpu:1:16x16"
DRN = dict(type="mmsrnas.DRNNet", upscale_factor=2, num_blocks=1, mid_channels=8)
EDSR = dict(type="EDSRNet", in_channels=3, out_channels=3, mid_channels=16, num_blocks=3)
METHODS = {
    "dlsr": dict(type="DLSRSupernet", mid_channels=8, num_cells=3),
    "hinas": dict(type="HiNASSupernet", upscale_factor=2, num_nodes=2, mid_channels=4),
    "hnas": dict(type="HNASSupernet", num_cells=3, num_nodes=2, mid_channels=4),
    "widths of DRN": dict(type="ChannelNumberSearch", generator=DRN, budget_share=1.0),
    "widths of EDSR": dict(
        type="ChannelNumberSearch", generator=EDSR | dict(upscale_factor=2), budget_share=1.0
    ),
}
GRADIENT = [name for name in METHODS if name != "hnas"]


@pytest.fixture
def cost_of(synthetic_table):
    """Config of a cost of a type; latency has a table of made-up times."""

    def config(kind, target=TARGET):
        place = dict(target=target, table=synthetic_table(target)) if kind == "latency" else {}
        return dict(type=kind) | place

    return config


def build(method, **changes):
    torch.manual_seed(0)
    cfg = METHODS[method] | changes
    if "budget" in changes and "budget_share" not in changes:
        cfg.pop("budget_share", None)
    net = MODELS.build(cfg | {"type": f"mmsrnas.{cfg['type']}"})
    for _, param in net.arch_parameters():
        nn.init.normal_(param)
    return net


def decide(net, choose):
    """Alpha and beta of which one choice only has a probability."""
    with torch.no_grad():
        for name, param in net.arch_parameters():
            index = choose(name, param)
            param.fill_(-200.0)[..., index] = 200.0


@pytest.mark.parametrize("kind", COSTS)
@pytest.mark.parametrize("method", GRADIENT)
def test_expectation_of_what_is_decided_is_the_cost_of_its_network(method, kind, cost_of):
    cfg = build_cost(cost_of(kind))
    net = build(method, cost=cfg).double()
    assert isinstance(net, CostedSupernet)
    if method == "dlsr":
        decide(net, lambda name, param: DLSR_OPS.index("sep_conv_5x5"))
    elif method == "hinas":  # the move to the wider level exists at the first level only
        op = HINAS_OPS.index("sep_conv_3x3")
        decide(net, lambda name, param: op if name == "alpha" else 2)
        assert net.genotype().path == (1, 2)
    else:
        decide(net, lambda name, param: 1)
    genotype = net.genotype()
    if "widths" in method:
        widths = net.expected_widths().round().int().tolist()
        genotype = genotype.replace(widths=tuple(widths))
    expected = build_cost(cfg)(net.build_network(genotype))
    assert net.expected_cost().item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("method", GRADIENT)
def test_expected_latency_falls_along_its_gradient(method, cost_of):
    net = build(method, cost=cost_of("latency")).double()
    before = net.expected_cost()
    before.backward()
    slope = 0.0
    with torch.no_grad():
        for _, param in net.arch_parameters():
            slope += param.grad.square().sum().item()
            param -= 1e-6 * param.grad
    assert slope > 0
    change = before.item() - net.expected_cost().item()
    assert change == pytest.approx(1e-6 * slope, rel=1e-2)


@pytest.mark.parametrize("kind", COSTS)
def test_reward_charges_the_cost_of_the_network(kind, cost_of):
    cfg = build_cost(cost_of(kind))
    net = build("hnas", cost=cfg, derived_mid_channels=6)
    rows = net.space.random(2, torch.Generator().manual_seed(1))
    for genotype in map(net.space.decode, rows):
        expected = build_cost(cfg)(net.build_network(genotype.replace(mid_channels=6)))
        assert net.cost(genotype) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", COSTS)
@pytest.mark.parametrize("method", METHODS)
def test_genotype_keeps_to_the_budget(method, kind, cost_of):
    """The share is of the dearest network, and means the same as its absolute value."""
    cost = cfg = build_cost(cost_of(kind))
    free = build(method, cost=cfg, budget_share=1.0)
    assert isinstance(free, BudgetedSupernet) and isinstance(free, RankedSupernet)
    if "widths" not in method:
        assert free.genotype() == build(method).genotype()
    with pytest.raises(BudgetError, match="least possible") as error:
        build(method, cost=cfg, budget=1e-3 * free.budget)
    least = error.value.least
    share = (0.5 * least + 0.5 * free.budget) / free.budget
    net = build(method, cost=cfg, budget_share=share)
    for supernet in (free, net, build(method, cost=cfg, budget=least * (1 + 1e-9))):
        assert cost(net.build_network(supernet.genotype())) <= supernet.budget * (1 + 1e-6)
    same = build(method, cost=cfg, budget=net.budget)
    assert same.genotype() == net.genotype()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (dict(budget=0), "budget: expected a positive number of parameters"),
        (dict(budget=-3.5), "budget: expected a positive number of parameters"),
        (dict(budget=float("nan")), "budget: expected a positive number of parameters"),
        (dict(budget="20 K"), "budget: expected a positive number of parameters"),
        (dict(budget_share=0), r"budget_share: expected a share in \(0, 1\]"),
        (dict(budget_share=1.5), r"budget_share: expected a share in \(0, 1\]"),
        (dict(budget=5, budget_share=0.5), "budget, budget_share: expected one of them"),
        (dict(budget=5), r"budget: 5 parameters are out of reach; .* the least possible"),
        (dict(cost="macs"), r"cost.type: expected one of multi_adds, params, latency"),
        (dict(cost=7), "cost: expected"),
        (dict(cost=dict(type="latency", device="cpu")), "cost: expected the keys type, target"),
        (dict(cost=dict(type="latency", target="abacus")), "'abacus' is no runtime"),
        (dict(cost=dict(type="latency", table="none.json")), "none.json does not exist"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_bad_input_is_refused_before_the_search(method, bad, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        build(method, **dict(cost="params") | bad)


@pytest.mark.parametrize("method", METHODS)
def test_unfit_targets_are_refused_before_the_search(method, cost_of, monkeypatch, tmp_path):
    cfg = cost_of("latency")
    with pytest.raises(ValueError, match="is a table of another target: input_size"):
        build(method, cost=cfg | dict(target="torch:cpu:1:24x24"))
    monkeypatch.setitem(targets.RUNTIMES, "openvino", "no-such-package")
    with pytest.raises(ModuleNotFoundError, match="pip install no-such-package"):
        build(method, cost=dict(type="latency", target="openvino"))
    monkeypatch.undo()
    monkeypatch.setattr(table, "time_calls", lambda calls, *_: {"": [1.0, 9.0, 1.0, 9.0, 5.0]})
    OperatorTable(parse_target(TARGET)).save(tmp_path / "new.json")
    with pytest.raises(NoisyMeasurementError, match=r"operators on torch.* vary by .*Stop other"):
        build(method, cost=dict(type="latency", target=TARGET, table=tmp_path / "new.json"))


def test_operators_that_are_missing_are_measured_and_kept(cost_of):
    cfg = cost_of("latency")
    assert not OperatorTable.load(cfg["table"], parse_target(TARGET)).times
    first = build("dlsr", cost=cfg, budget_share=1.0).budget
    times = OperatorTable.load(cfg["table"], parse_target(TARGET)).times
    assert times
    assert build("dlsr", cost=cfg, budget_share=1.0).budget == first
    assert OperatorTable.load(cfg["table"], parse_target(TARGET)).times == times
