"""The cost of a chain, put together from networks of one and two blocks."""

import pytest
import torch

from mmsrnas.costs import Cost
from mmsrnas.genotypes import ELASTIC_OPS
from mmsrnas.latency import OperatorTable
from mmsrnas.models import ElasticNet, ElasticSupernet
from mmsrnas.models.elastic.cost import ChainCost


@pytest.mark.parametrize("kind", ["params", "multi_adds"])
def test_equals_the_count_of_the_network(kind):
    torch.manual_seed(0)
    space = ElasticSupernet(
        (1, 3, 4), (4, 6, 8), activations=("silu", "prelu"), cells_per_stage=2
    ).space
    cost = Cost(kind)
    chain_cost = ChainCost(cost)
    for row in space.random(6):
        genotype = space.decode(row)
        assert chain_cost(genotype) == cost(ElasticNet(genotype))


def test_equals_the_sum_over_the_operators_of_onnxruntime(monkeypatch):
    """Whatever the times of the operators are: fused nodes and changes of layout included."""
    times = {}
    monkeypatch.setattr(
        OperatorTable, "_time", lambda self, key: times.setdefault(key, 1.0 + len(times))
    )
    monkeypatch.setattr(OperatorTable, "measure", lambda *args: 0)
    cost = Cost("latency", target="onnxruntime:cpu:1:8x8")
    chain_cost = ChainCost(cost)
    space = ElasticSupernet(
        (3,), (8, 16), ELASTIC_OPS, activations=("silu", "prelu"), cells_per_stage=2
    ).space
    for tokens in ([0, 0, 0, 1, 0, 1, 2], [1, 0, 1, 0, 2, 1, 0]):
        genotype = space.decode(tokens)
        assert chain_cost(genotype) == pytest.approx(cost(ElasticNet(genotype)))
