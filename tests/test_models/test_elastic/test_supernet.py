"""The elastic supernet: its networks, taken out of it, compute what they computed inside."""

import pytest
import torch

from mmsrnas.genotypes import ELASTIC_OPS, GenotypeError
from mmsrnas.models import ElasticSupernet
from mmsrnas.models.supernet import PathSupernet, RankedSupernet


def supernet(**kwargs):
    torch.manual_seed(0)
    choices = dict(ops=ELASTIC_OPS, num_cells=(1, 2, 4), mid_channels=(4, 6, 8), cells_per_stage=2)
    net = ElasticSupernet(**choices | kwargs).double()
    for parameter in net.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return net


@pytest.mark.parametrize(
    "kwargs",
    [
        dict(activations=("leaky_relu", "prelu")),
        dict(upscale_factor=1, in_channels=1, activations=("silu", "gelu"), anchor="bicubic"),
        dict(upscale_factor=3, ops=("gate_3x3",), activations=("prelu",), anchor="nearest"),
    ],
    ids=["colour x2", "gray denoising", "colour x3"],
)
@torch.no_grad()
def test_an_extracted_network_computes_what_the_supernet_does(kwargs):
    net = supernet(**kwargs)
    x = torch.rand(2, net.in_channels, 7, 9, dtype=torch.double)
    rows = net.space.sandwich(8, torch.Generator().manual_seed(0))
    genotypes = [net.space.decode(row) for row in rows]
    for genotype in genotypes:
        network = net.extract(genotype)
        assert network.genotype == genotype
        torch.testing.assert_close(network(x), net(x, genotype), rtol=0, atol=1e-9)
    outputs = {net(x, genotype).sum().item() for genotype in genotypes}
    assert len(outputs) == len(set(genotypes)) > 2


def test_a_narrow_network_trains_the_first_channels_alone():
    net = supernet()
    genotype = net.space.decode([0, 0, 0, 0, 0, 0, 0, 0])
    net(torch.rand(1, 3, 5, 5, dtype=torch.double), genotype).sum().backward()
    used = net.cells[0]["3"].weight.grad
    assert used[:4, :4].abs().min() > 0 and used[4:].abs().max() == used[:, 4:].abs().max() == 0
    assert net.cells[1]["3"].weight.grad is None
    assert net.cells[0]["5"].weight.grad is None


def test_ranking_is_what_it_prefers_and_travels_in_the_state():
    net = supernet()
    assert isinstance(net, PathSupernet) and isinstance(net, RankedSupernet)
    assert net.ranked() == [net.space.largest()] == [net.genotype()]
    chosen = [net.space.decode(row) for row in net.space.random(5)]
    net.rank(chosen)
    twin = supernet()
    twin.load_state_dict(net.state_dict())
    assert twin.ranked() == chosen
    twin.rank(chosen[:2])
    assert twin.ranked() == chosen[:2]
    assert twin.genotype() == chosen[0]
    with pytest.raises(GenotypeError, match="not in the search space"):
        net.rank([chosen[0].replace(upscale_factor=4)])
