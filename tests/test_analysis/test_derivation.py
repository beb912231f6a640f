"""Derivation within a budget: exact preferences, never over, close below."""

import functools
import itertools

import pytest
import torch
from torch import nn

from mmsrnas.analysis.derivation import derive
from mmsrnas.costs import Cost
from mmsrnas.genotypes import DLSR_OPS, DLSRGenotype
from mmsrnas.models import (
    DLSRSupernet,
    HiNASSupernet,
    HNASSupernet,
)
from mmsrnas.models.dlsr.cost import op_costs
from mmsrnas.models.supernet import RankedSupernet


def decided(supernet):
    torch.manual_seed(0)
    for _, param in supernet.arch_parameters():
        nn.init.normal_(param)
    return supernet


METHODS = {
    "dlsr": lambda: decided(DLSRSupernet(2, mid_channels=12)),
    "hinas": lambda: decided(HiNASSupernet("sr", 2, num_cells=3, mid_channels=4)),
    "hnas": lambda: decided(HNASSupernet(2, num_cells=4, mid_channels=6)),
}
BUDGETS = [
    ("dlsr", "multi_adds", 40e9),
    ("dlsr", "params", 50e3),
    ("hinas", "multi_adds", 80e9),
    ("hinas", "params", 300e3),
    ("hnas", "multi_adds", 20e9),
    ("hnas", "params", 150e3),
]


@pytest.mark.parametrize(("method", "kind", "budget"), BUDGETS)
def test_never_over_and_close_below(method, kind, budget):
    supernet, cost = METHODS[method](), Cost(kind)
    assert isinstance(supernet, RankedSupernet)
    with torch.device("meta"):
        found = derive(supernet, cost, budget)
        again = cost(supernet.build_network(found.genotype.to_dict()))
        wider = found.genotype.replace(mid_channels=found.genotype.mid_channels + 2)
        assert cost(supernet.build_network(wider)) > budget
    assert again == found.cost <= budget
    assert found.cost > 0.75 * budget


@pytest.mark.parametrize("method", METHODS)
def test_first_preference_is_the_genotype(method):
    supernet = METHODS[method]()
    preferences = list(itertools.islice(supernet.preferences(), 50))
    assert preferences[0] == supernet.genotype()
    assert len(set(preferences)) == len(preferences)


def test_dlsr_prefers_by_probability():
    supernet = decided(DLSRSupernet(2, mid_channels=12))
    scores = supernet.alpha.detach().log_softmax(dim=1)
    found = [
        sum(scores[i, DLSR_OPS.index(op)].item() for i, op in enumerate(genotype.ops))
        for genotype in supernet.preferences()
    ]
    assert len(found) == 9**3
    assert found == pytest.approx(sorted(found, reverse=True), abs=1e-6)


def test_hinas_prefers_by_probability():
    supernet = decided(HiNASSupernet("sr", 2, num_cells=4, mid_channels=4))
    logs = [moves.tolist() for moves in supernet._log_moves()]

    def score(path):
        steps = zip(logs, (0, *path), path, strict=False)
        return sum(rows[a][b - a + 1] if abs(b - a) < 2 else -1e9 for rows, a, b in steps)

    paths = [
        path for path in itertools.product(range(3), repeat=4)
        if path[0] < 2 and all(abs(a - b) < 2 for a, b in itertools.pairwise(path))
    ]  # fmt: skip
    found = [genotype.path for genotype in supernet.preferences()]
    assert sorted(found) == sorted(paths)
    assert list(map(score, found)) == pytest.approx(sorted(map(score, paths), reverse=True))


class _FormulaCost:
    """The parameters of DLSR by the formula, of genotypes in place of networks."""

    unit = "parameters"

    def __call__(self, genotype):
        per_op = _op_params(genotype.mid_channels)
        return genotype.mid_channels**2 + 6 * sum(per_op[op] for op in genotype.ops)


@functools.cache
def _op_params(mid_channels):
    genotype = DLSRGenotype(("conv_1x1",) * 3, (), mid_channels)
    return dict(zip(DLSR_OPS, op_costs("params", genotype), strict=True))


class _Formula(DLSRSupernet):
    """A search whose networks are their genotypes."""

    build_network = staticmethod(lambda genotype: genotype)


def test_best_of_those_within_the_budget():
    """At a fixed width the choice is the likeliest of the cheap enough ones, by enumeration."""
    supernet, cost = decided(_Formula(2, mid_channels=12)), _FormulaCost()
    costs = {g: cost(g) for g in supernet.preferences()}
    budget = sorted(costs.values())[40]
    found = derive(supernet, cost, budget, mid_channels=12)
    assert found.genotype == next(g for g, value in costs.items() if value <= budget)
    assert found.rank > 0


def test_a_front_keeps_its_order():
    supernet = decided(_Formula(2, mid_channels=12))
    found = [
        derive(supernet, _FormulaCost(), budget)
        for budget in (3e4, 1e5, 3e5)
    ]  # fmt: skip
    assert [f.cost for f in found] == sorted(f.cost for f in found)
    assert all(f.cost <= f.budget for f in found)


@pytest.mark.parametrize(
    ("budget", "kwargs", "message"),
    [
        (0, {}, "positive"),
        (-5, {}, "positive"),
        (10, {}, r"narrowest network, 4 channels, costs .* parameters; 10 are out of reach"),
        (10, dict(mid_channels=12), r"cheapest of 729 architectures with 12 channels costs 2,736"),
    ],
)
def test_refused(budget, kwargs, message):
    supernet = decided(_Formula(2, mid_channels=12))
    with pytest.raises(ValueError, match=message):
        derive(supernet, _FormulaCost(), budget, **kwargs)
