import itertools
import random

import pytest
import torch
from torch import nn

from mmsrnas.analysis import count_complexity, lr_size_of
from mmsrnas.costs import Cost
from mmsrnas.genotypes import HINAS_OPS, HiNASGenotype
from mmsrnas.models import HiNASNet, HiNASSpace, HiNASSupernet
from mmsrnas.models.hinas.cost import HiNASCost

TASKS = {"denoise": ("denoise", 1, 1), "sr": ("sr", 3, 3)}


def paths(layers, levels):
    for path in itertools.product(range(levels), repeat=layers):
        if all(abs(a - b) <= 1 for a, b in itertools.pairwise((0, *path))):
            yield path


def decide(net, op, path):
    """Alpha and beta of which all but one network have no probability."""
    with torch.no_grad():
        net.alpha.zero_()[..., HINAS_OPS.index(op)] = 200.0
        net.beta.zero_()
        steps = itertools.pairwise((0, *path))
        for rows, (a, b) in zip(net.trellis.split(net.beta), steps, strict=True):
            rows[a, b - a + 1] = 200.0


def network(task, op, path, activation="leaky_relu"):
    cell = ((op, 0), (op, 1)) * 3
    genotype = HiNASGenotype((cell,) * len(path), path, 8, (1, 1.5, 2), activation)
    return HiNASNet(genotype, *task)


def counted(net, cost):
    """Parameters, or Multi-Adds of all convolutions for an output of 1280x720."""
    if cost == "params":
        return sum(p.numel() for p in net.parameters())
    height, width = lr_size_of((720, 1280), net.upscale_factor)
    convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    return height * width * sum(conv.weight.numel() for conv in convs)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("cost", ["params", "multi_adds"])
def test_cost_of_decided_supernets_is_that_of_the_network(task, cost):
    net = HiNASSupernet(*task, num_cells=3, num_nodes=3, mid_channels=8, cost=cost)
    random.seed(0)
    for op, path in random.sample(list(itertools.product(HINAS_OPS[:-1], paths(3, 3))), 10):
        decide(net, op, path)
        expected = counted(network(task, op, path), cost)
        assert net.expected_cost().item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["params", "multi_adds"])
def test_cost_of_a_genotype_is_that_of_its_network(kind):
    """Of random paths, whose cells read two cells before them at levels of their own."""
    space = HiNASSpace(num_cells=4, num_nodes=2, mid_channels=4)
    for genotype in map(space.decode, space.batch(6, torch.Generator().manual_seed(1))):
        cost = HiNASCost.build(Cost(kind), genotype.replace(path=(0,) * 4))
        with torch.device("meta"):
            expected = counted(HiNASNet(genotype), kind)
        assert cost.of(genotype) == expected


def test_cost_is_what_the_counter_counts():
    genotype = network(TASKS["sr"], "sep_conv_5x5", (0, 1)).genotype
    counts = count_complexity(HiNASNet(genotype), (3, 240, 427))
    for cost in ("params", "multi_adds"):
        net = HiNASSupernet("sr", 3, 3, num_cells=2, num_nodes=3, mid_channels=8, cost=cost)
        decide(net, "sep_conv_5x5", (0, 1))
        assert net.expected_cost().item() == pytest.approx(getattr(counts, cost), rel=1e-6)


def test_published_closed_forms():
    net = HiNASSupernet("denoise", 1, 1, num_cells=3, num_nodes=4, mid_channels=20)
    for op, path, params in (
        ("conv_3x3", (0, 0, 0), 238_369),
        ("dil_conv_5x5", (1, 2, 2), 996_969),
        ("skip_connect", (1, 1, 1), 164_169),
    ):
        decide(net, op, path)
        assert net.expected_cost().item() == pytest.approx(params, rel=1e-6)


def test_prelu_counts_its_slopes():
    net = HiNASSupernet("sr", 3, 3, 2, 3, 8, activation="prelu")
    decide(net, "sep_conv_5x5", (0, 1))
    derived = network(("sr", 3, 3), "sep_conv_5x5", (0, 1), "prelu")
    params = sum(p.numel() for p in derived.parameters())
    assert net.expected_cost().item() == pytest.approx(params, rel=1e-6)


def test_cost_is_the_average_over_paths():
    net = HiNASSupernet("sr", 3, 3, num_cells=3, num_nodes=3, mid_channels=8).double()
    torch.manual_seed(0)
    with torch.no_grad():
        net.beta.normal_()
    beta, average, total = net.beta.detach().clone(), 0.0, 0.0
    moves = [rows.tolist() for rows in net.trellis.split(net.moves())]
    for path in paths(3, 3):
        steps = enumerate(itertools.pairwise((0, *path)))
        probability = torch.tensor([moves[n][a][b - a + 1] for n, (a, b) in steps]).prod().item()
        decide(net, "conv_3x3", path)
        average += probability * net.expected_cost().item()
        total += probability
    with torch.no_grad():
        net.beta.copy_(beta)
    assert total == pytest.approx(1)
    assert net.expected_cost().item() == pytest.approx(average)


@pytest.mark.parametrize("cost", ["params", "multi_adds"])
def test_reference_cost_is_that_of_the_start(cost):
    net = HiNASSupernet("denoise", 1, 1, num_cells=3, num_nodes=2, mid_channels=4, cost=cost)
    start = net.expected_cost().item()
    assert net.reference_cost == pytest.approx(start)
    decide(net, "dil_conv_5x5", (1, 2, 2))
    assert net.expected_cost().item() > start
    assert net.reference_cost == pytest.approx(start)


def test_cost_has_the_gradient_of_its_differences():
    net = HiNASSupernet("denoise", 1, 1, num_cells=3, num_nodes=2, mid_channels=4).double()
    torch.manual_seed(0)
    with torch.no_grad():
        net.alpha.normal_()
        net.beta.normal_()
    net.expected_cost().backward()
    for param in (net.alpha, net.beta):
        for index in [(0,) * param.dim(), (1,) * param.dim()]:
            values = []
            for step in (1e-5, -2e-5):
                with torch.no_grad():
                    param[index] += step
                values.append(net.expected_cost().item())
            with torch.no_grad():
                param[index] += 1e-5
            slope = (values[0] - values[1]) / 2e-5
            assert param.grad[index].item() == pytest.approx(slope, rel=1e-4, abs=1e-3)
    assert net.alpha.grad.abs().max() > 0


def test_unknown_cost_is_refused():
    with pytest.raises(ValueError, match=r"cost.type: expected one of"):
        HiNASSupernet(cost="macs")


@pytest.mark.parametrize("cost", ["params", "multi_adds"])
def test_cost_of_widths_that_do_not_begin_at_one(cost):
    net = HiNASSupernet(
        "sr", 2, 3, num_cells=2, num_nodes=2, mid_channels=6, width_multipliers=(0.5, 2), cost=cost
    )
    for path in paths(2, 2):
        decide(net, "sep_conv_3x3", path)
        expected = counted(HiNASNet(net.genotype()), cost)
        assert net.expected_cost().item() == pytest.approx(expected, rel=1e-6)
