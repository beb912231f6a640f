"""Derivation within a budget: never over, close below, and what the search prefers."""

import itertools

import pytest
import torch
from torch import nn

from mmsrnas.analysis.derivation import derive, derive_measured
from mmsrnas.analysis.measured import AGREES
from mmsrnas.costs import COSTS, BudgetError, Cost
from mmsrnas.genotypes import DLSR_OPS, HINAS_OPS
from mmsrnas.latency import Measurement, OperatorTable
from mmsrnas.models import DLSRSupernet, HiNASSupernet, HNASSupernet
from mmsrnas.models.dlsr.cost import DLSRCost
from mmsrnas.models.hinas.cost import HiNASCost
from mmsrnas.models.hinas.decoding import num_edges
from mmsrnas.pruning import ChannelNumberSearch

TARGET = "torch:cpu:1:16x16"
DRN = dict(type="mmsrnas.DRNNet", upscale_factor=2, num_blocks=6, mid_channels=8)


def decided(supernet, seed=0):
    torch.manual_seed(seed)
    for _, param in supernet.arch_parameters():
        nn.init.normal_(param)
    return supernet


METHODS = {
    "dlsr": lambda: decided(DLSRSupernet(2, mid_channels=24, num_cells=3)),
    "hinas": lambda: decided(HiNASSupernet("sr", 2, num_cells=2, num_nodes=2, mid_channels=8)),
    "hnas": lambda: decided(HNASSupernet(2, num_cells=3, num_nodes=2, mid_channels=12)),
    "widths": lambda: decided(ChannelNumberSearch(DRN, budget_share=0.9)),
}


@pytest.mark.parametrize("kind", COSTS)
@pytest.mark.parametrize("method", METHODS)
def test_never_over_and_close_below(method, kind, synthetic_table):
    supernet = METHODS[method]()
    place = dict(target=TARGET, table=synthetic_table(TARGET)) if kind == "latency" else {}
    cost = Cost(kind, **place)
    # Below 1, the favourite has to give way at the width of the search.
    factor = 1.25 if kind == "latency" else 0.95 if method == "hinas" else 0.83
    if (method, kind) == ("widths", "latency"):
        factor = 1.0  # the widths cannot grow beyond those of the network
    budget = factor * cost(supernet.build_network(supernet.genotype()))
    found = derive(supernet, cost, budget)
    again = cost(supernet.build_network(found.genotype.to_dict()))
    assert again == pytest.approx(found.cost)
    assert found.cost <= budget
    # A policy of five cells has few architectures to choose from.
    assert found.fills_budget or (method == "hnas" and found.cost > 0.85 * budget)
    assert found.unit == cost.unit


@pytest.mark.parametrize("method", ["dlsr", "hnas", "hinas"])
def test_what_is_left_goes_into_width_and_depth(method):
    cells = {"dlsr": lambda: decided(DLSRSupernet(2, mid_channels=24, num_cells=4))}
    supernet, cost = (METHODS | cells)[method](), Cost("params")
    favourite = supernet.genotype()
    found = derive(supernet, cost, 3.1 * cost(supernet.build_network(favourite)))
    assert found.genotype.mid_channels > favourite.mid_channels
    assert found.fills_budget
    if method != "hinas":  # whose cells all differ
        assert found.loss == 0
        assert abs(found.genotype.num_cells - favourite.num_cells) <= 2


def test_dlsr_prefers_the_likeliest_operations_within_the_budget():
    supernet = decided(DLSRSupernet(2, mid_channels=12, cost="multi_adds"))
    logs = supernet.alpha.detach().log_softmax(dim=1)
    parts = DLSRCost.build(Cost("multi_adds"), supernet.genotype())
    options = list(itertools.product(range(9), repeat=3))
    costs = {c: parts.of(c) for c in options}
    scores = {c: sum(logs[i, op].item() for i, op in enumerate(c)) for c in options}
    for budget in sorted(costs.values())[::90]:
        found = supernet.preferred(Cost("multi_adds"), budget)
        best = max((c for c in options if costs[c] <= budget), key=scores.__getitem__)
        assert found.genotype.ops == tuple(DLSR_OPS[i] for i in best)
        favourite = max(scores.values())
        assert found.loss == pytest.approx(favourite - scores[best], abs=1e-5)


def hinas_networks(supernet):
    """Every path with every two edges and operations of its single nodes, and their scores."""
    logs = [moves.tolist() for moves in supernet._log_moves()]
    for path in itertools.product(range(2), repeat=2):
        score = sum(rows[a][b - a + 1] for rows, a, b in zip(logs, (0, *path), path, strict=False))
        cells = []
        for layer, level in enumerate(path):
            weights = supernet.cell_weights(layer, level).detach().double().log().tolist()
            ways = itertools.product(range(len(HINAS_OPS) - 1), repeat=2)
            best = max(
                sum(sorted((max(row[:-1]) for row in weights), reverse=True)[:2]) for _ in "x"
            )
            cells.append(
                [
                    (
                        tuple(zip((HINAS_OPS[a], HINAS_OPS[b]), (0, 1), strict=True)),
                        weights[0][a] + weights[1][b] - best,
                    )
                    for a, b in ways
                ]
            )
        for first, second in itertools.product(*cells):
            cost_of = supernet.template.replace(cells=(first[0], second[0]), path=path)
            yield cost_of, score + first[1] + second[1]


def test_hinas_prefers_the_likeliest_network_within_the_budget():
    """Paths, inputs and operations together, by enumeration."""
    supernet = decided(
        HiNASSupernet("sr", 2, num_cells=2, num_nodes=1, mid_channels=4, width_multipliers=(1, 2))
    )
    assert num_edges(1) == 2
    cost = HiNASCost.build(Cost("params"), supernet.template)
    networks = [(cost.of(g), score) for g, score in hinas_networks(supernet)]
    favourite = max(score for _, score in networks)
    for budget in sorted(c for c, _ in networks)[::700]:
        found = supernet.preferred(Cost("params"), budget)
        best = max(score for c, score in networks if c <= budget)
        assert cost.of(found.genotype) <= budget
        # The path of the favourite is that of beta alone.
        path = max(score for c, score in networks)
        assert found.loss == pytest.approx(max(0.0, path - best), abs=1e-4)
        assert favourite == path


def test_hnas_prefers_the_likeliest_sample():
    supernet = METHODS["hnas"]()
    ranked = list(supernet._ranked())
    assert ranked[0].genotype == supernet.genotype()
    assert len({p.genotype for p in ranked}) == len(ranked)
    losses = [p.loss for p in ranked[1:]]
    assert losses == sorted(losses)
    costs = [supernet.cost(p.genotype) for p in ranked]
    budget = sorted(costs)[20]
    found = supernet.preferred(Cost("multi_adds"), budget)
    assert found.genotype == next(
        p.genotype for p, c in zip(ranked, costs, strict=True) if c <= budget
    )


@pytest.mark.parametrize("method", METHODS)
def test_budget_out_of_reach_names_the_least_possible(method):
    supernet, cost = METHODS[method](), Cost("params")
    with pytest.raises(BudgetError, match="10 parameters are out of reach") as error:
        derive(supernet, cost, 10)
    assert derive(supernet, cost, error.value.least).cost == pytest.approx(error.value.least)
    for wrong in (0, -5, float("nan")):
        with pytest.raises(ValueError, match="expected a positive number of parameters"):
            derive(supernet, cost, wrong)


def test_a_fixed_width_is_kept():
    supernet = METHODS["dlsr"]()
    found = derive(supernet, Cost("params"), 60e3, mid_channels=16)
    assert found.genotype.mid_channels == 16
    with pytest.raises(BudgetError, match="with 64 channels"):
        derive(supernet, Cost("params"), 60e3, mid_channels=64)
    with pytest.raises(ValueError, match="the widths are what this search decides"):
        derive(METHODS["widths"](), Cost("params"), 60e3, mid_channels=16)


def test_measured_latency_calibrates_the_prediction(synthetic_table, monkeypatch):
    """On a machine that takes 1.3 times what the table says."""
    supernet = decided(DLSRSupernet(2, mid_channels=8, num_cells=3))
    cost = Cost("latency", TARGET, synthetic_table(TARGET))
    uncalibrated = OperatorTable(cost.target, cost.table.times)

    def measure(network, target, max_spread):
        uncalibrated.measure_missing(network)
        return Measurement(1.3 * uncalibrated.predict(network), 0.01, target, 9)

    monkeypatch.setattr("mmsrnas.analysis.measured.measure", measure)
    budget = 1.4 * cost(supernet.build_network(supernet.genotype()))
    found, measured = derive_measured(supernet, cost, budget, mid_channels=8)
    assert measured.milliseconds <= budget == found.budget
    assert measured.milliseconds == pytest.approx(found.cost, rel=AGREES)
    with pytest.raises(BudgetError, match="is the least possible"):
        derive_measured(supernet, cost, 1.01 * measured.milliseconds / 20, mid_channels=8)


def test_with_a_measured_table(tmp_path):
    supernet = decided(DLSRSupernet(2, mid_channels=8, num_cells=2))
    target = "torch:cpu:1:24x24"
    OperatorTable(Cost("latency", target).target).save(tmp_path / "table.json")
    cost = Cost("latency", target, tmp_path / "table.json")
    # What a busy machine measures may calibrate the prediction to twice as much.
    budget = 4 * cost(supernet.build_network(supernet.genotype()))
    found, measured = derive_measured(supernet, cost, budget, mid_channels=8, max_spread=9)
    assert 0 < found.cost <= budget
    assert measured.milliseconds == pytest.approx(found.cost, rel=0.5)
