import pytest
import torch
from torch import nn

from mmsrnas.analysis.complexity import count_complexity, input_size_of
from mmsrnas.costs import build_cost
from mmsrnas.genotypes import DLSR_OPS, DLSRGenotype, load_genotype
from mmsrnas.models import DLSRNet, DLSRSupernet
from mmsrnas.models.dlsr.cost import network_cost

GENOTYPES = {
    "published": load_genotype("DLSR"),
    "tiny x3": load_genotype("DLSR_TINY").replace(upscale_factor=3),
    "gray x4": DLSRGenotype(DLSR_OPS[1:4], ((1, 0),), 10, 4, 1),
    "two cells": DLSRGenotype(DLSR_OPS[6:], (), 6),
}


@pytest.mark.parametrize("genotype", GENOTYPES.values(), ids=GENOTYPES.keys())
def test_counts_are_those_of_the_network(genotype):
    with torch.device("meta"):
        net = DLSRNet(genotype)
    counted = count_complexity(net, input_size_of(net))
    assert network_cost("params", genotype) == counted.params
    assert network_cost("multi_adds", genotype) == counted.multi_adds


@pytest.mark.parametrize("cost", ["params", "multi_adds"])
def test_expectation_of_a_decided_supernet_is_the_cost_of_its_genotype(cost):
    net = DLSRSupernet(3, 8, 4, cost=cost, in_channels=1).double()
    with torch.no_grad():
        for row, op in enumerate((2, 5, 8)):
            net.alpha[row, op] = 100.0
    assert net.expected_cost().item() == pytest.approx(network_cost(cost, net.genotype()))


TARGET = "torch:cpu:1:24x32"


def test_expected_latency_is_the_prediction_where_alpha_is_decided(synthetic_table):
    cfg = dict(type="latency", target=TARGET, table=synthetic_table(TARGET))
    supernet = DLSRSupernet(2, mid_channels=8, num_cells=3, cost=cfg).double()
    nn.init.normal_(supernet.alpha)
    genotype = supernet.genotype()
    with torch.no_grad():
        for row, op in zip(supernet.alpha, genotype.ops, strict=True):
            row.fill_(-60.0)[DLSR_OPS.index(op)] = 60.0
    predicted = build_cost(cfg)(DLSRNet(genotype))
    assert supernet.expected_cost().item() == pytest.approx(predicted, rel=1e-6)
