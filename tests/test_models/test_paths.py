"""Networks that share weights: each is the derived network itself."""

import pytest
import torch

from mmsrnas.costs import Cost
from mmsrnas.genotypes import GenotypeError
from mmsrnas.models import (
    DLSRSpace,
    HiNASSpace,
    HNASSpace,
    SharedSupernet,
    init_unit_variance,
)
from mmsrnas.models.paths import _places, fair_tokens
from mmsrnas.models.supernet import PathSupernet, RankedSupernet

SPACES = {
    "dlsr": DLSRSpace(num_cells=5, mid_channels=4),
    "hinas": HiNASSpace(upscale_factor=2, num_cells=3, num_nodes=2, mid_channels=2),
    "hinas gray denoising": HiNASSpace("denoise", 1, 1, 2, 1, 2, (1, 2), "prelu"),
    "hnas": HNASSpace(num_cells=2, num_nodes=2, mid_channels=4, deduplicate=True),
}

FOREIGN = r"not in the search space|the search space has \d+, the genotype \d+"
"""What is said of a genotype of another space; HNAS names the field."""


@pytest.fixture(scope="module", params=SPACES.values(), ids=SPACES)
def supernet(request):
    torch.manual_seed(0)
    net = SharedSupernet(request.param).double()
    for parameter in net.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return net.eval()


def drawn(space, count=6):
    return list(map(space.decode, space.batch(count, torch.Generator().manual_seed(0))))


@torch.no_grad()
def test_a_path_is_the_derived_network_with_the_shared_weights(supernet):
    x = torch.rand(2, supernet.in_channels, 15, 17, dtype=torch.double)
    genotypes = drawn(supernet.space)
    outputs = []
    for genotype in genotypes:
        outputs.append(supernet(x, genotype))
        derived = supernet.build_network(genotype).double().eval()
        assert derived.genotype == genotype
        derived.load_state_dict(supernet.extract(genotype).state_dict())
        torch.testing.assert_close(outputs[-1], derived(x), rtol=0, atol=1e-9)
    assert len({output.sum().item() for output in outputs}) == len(genotypes)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_a_path_is_on_the_device_of_the_supernet(space):
    supernet = SharedSupernet(space).to("meta")
    network = supernet._assemble(drawn(space)[0])
    tensors = [*network.parameters(), *network.buffers()]
    assert tensors and all(tensor.is_meta for tensor in tensors)


def test_an_extracted_network_is_a_copy(supernet):
    genotype = drawn(supernet.space)[0]
    network = supernet.extract(genotype)
    x = torch.rand(1, supernet.in_channels, 15, 15, dtype=torch.double)
    before = supernet(x, genotype)
    for parameter in network.parameters():
        assert parameter.requires_grad and not parameter.is_meta
        parameter.data.zero_()
    assert torch.equal(supernet(x, genotype), before)


def test_a_step_trains_the_modules_of_its_path_alone(supernet):
    genotype = drawn(supernet.space)[1]
    supernet.zero_grad()
    x = torch.rand(2, supernet.in_channels, 15, 15, dtype=torch.double)
    supernet(x, genotype).square().mean().backward()
    trained = [p for p in supernet.parameters() if p.grad is not None]
    expected = sum(p.numel() for p in supernet.build_network(genotype).parameters())
    assert sum(p.numel() for p in trained) == expected
    assert len(trained) < len(list(supernet.parameters()))


def test_networks_of_the_cover_have_all_weights(supernet):
    def keys(genotypes):
        networks = ((supernet._assemble(g), supernet.space.parts(g)) for g in genotypes)
        return {key for net, parts in networks for _, _, key in _places(net, parts)}

    covered = keys(supernet.space.cover())
    assert covered == set(supernet.pool)
    assert keys(drawn(supernet.space, 40)) <= covered


def test_ranking_is_what_it_prefers(supernet):
    assert isinstance(supernet, PathSupernet) and isinstance(supernet, RankedSupernet)
    space, cost = supernet.space, Cost("params")
    assert supernet.genotype() == next(space.cover())
    ranked = drawn(space)
    supernet.rank(ranked)
    assert supernet.ranked() == ranked
    cheapest = min(cost(supernet.build_network(genotype)) for genotype in ranked)
    assert cost(supernet.build_network(supernet.preferred(cost, cheapest).genotype)) == cheapest
    wide = supernet.preferred(cost, float("inf"), mid_channels=8).genotype
    assert wide == ranked[0].replace(mid_channels=8)
    with pytest.raises(GenotypeError, match=FOREIGN):
        supernet(torch.rand(1, supernet.in_channels, 15, 15), wide)
    supernet.rank([])


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_tokens_and_genotypes_are_each_other(space):
    for row in space.random(30, torch.Generator().manual_seed(0)):
        genotype = space.decode(row)
        assert space.decode(space.encode(genotype)) == genotype
    for wrong in ([0], [-1] * len(space.sizes), list(space.sizes)):
        with pytest.raises(GenotypeError, match="tokens of a"):
            space.decode(wrong)
    for field, value in (("mid_channels", 8), ("in_channels", 2)):
        with pytest.raises(GenotypeError, match=FOREIGN):
            space.encode(genotype.replace(**{field: value}))


def test_doubles_of_a_function_become_the_one_that_the_space_has():
    space = SPACES["hnas"]
    sizes, generator = torch.tensor(space.sizes), torch.Generator().manual_seed(0)
    rows = torch.randint(int(sizes.max()), (50, len(sizes)), generator=generator) % sizes
    for row in rows:
        genotype = space.decode(row)
        assert space.decode(space.encode(genotype)) == genotype


def test_size_counts_the_paths_and_the_cells_on_them():
    space = HiNASSpace("denoise", 1, 1, num_cells=2, num_nodes=1, mid_channels=2)
    # Levels (0, 0), (0, 1), (1, 0), (1, 1) and (1, 2); a cell has two edges of six operations.
    assert space.size() == 5 * (6**2) ** 2


@pytest.mark.parametrize(
    "space",
    [
        DLSRSpace(4, 4),
        HiNASSpace("denoise", 1, 1, 1, 1, 2),
        HNASSpace(2, 1, ("rcab", "skip_connect"), ("nearest", "bilinear")),
        HNASSpace(1, 2, ("rcab",), ("sub_pixel", "nearest"), deduplicate=True),
    ],
    ids=["dlsr", "hinas", "hnas", "hnas without doubles"],
)
def test_all_genotypes_are_there_once(space):
    genotypes = set(space.all())
    assert len(genotypes) == space.size()
    assert set(map(space.decode, space.random(50))) <= genotypes


def test_every_value_is_drawn_equally_often():
    tokens = fair_tokens((9, 3), 9, torch.Generator().manual_seed(0))
    assert tokens[:, 0].sort().values.tolist() == list(range(9))
    assert tokens[:, 1].bincount().tolist() == [3, 3, 3]
    first = torch.stack([fair_tokens((4,), 2)[0, 0] for _ in range(400)]).bincount()
    assert first.min() > 60


def test_a_hinas_node_has_no_order_of_its_edges():
    space = SPACES["hinas"]
    genotype = drawn(space)[0]
    cell = genotype.cells[0]
    turned = genotype.replace(cells=((cell[1], cell[0], *cell[2:]), *genotype.cells[1:]))
    assert space.encode(turned) == space.encode(genotype)


def test_parts_of_several_forms_are_refused():
    class Confused(DLSRSpace):
        def parts(self, genotype):
            return DLSRSpace.parts(self, genotype) | {"cells.0.ops.0": "op"}

    with pytest.raises(ValueError, match=r"Confused\.parts: op has several forms"):
        SharedSupernet(Confused(2, 4))


def test_features_of_hnas_keep_their_size_whatever_the_path():
    """Sums would grow with the depth of the graph, and shared weights see sizes far apart."""
    space = HNASSpace(num_cells=8, num_nodes=4, mid_channels=4, deduplicate=True)
    sizes = {}
    for average in (False, True):
        torch.manual_seed(0)
        network = {"img_range": 16.0, "average": average}
        supernet = SharedSupernet(space, network, {"aligned": True})
        x = torch.rand(2, 3, 12, 12)
        init_unit_variance(supernet, x, architectures=space.cover())
        seen = []
        supernet.pool["conv_last"].register_forward_pre_hook(
            lambda _, args, seen=seen: seen.append(args[0].std().item())
        )
        with torch.no_grad():
            for genotype in drawn(space, 20):
                supernet(x, genotype)
        sizes[average] = max(seen) / min(seen)
    assert sizes[True] < 4 < 20 < sizes[False]


def test_weights_behind_the_upsampling_are_others():
    space = SPACES["hnas"]
    genotype = drawn(space)[0]
    first, last = (space.parts(genotype.replace(upsampling_position=at)) for at in (0, 1))
    assert ".large." in first["cells.1.ops.0"] and ".large." not in last["cells.0.ops.0"]
