import pytest
import torch
from torch import nn

from mmsrnas.genotypes import HNAS_PAPER_NORMAL_OPS, HNASGenotype, load_genotype
from mmsrnas.models import HNASNet
from mmsrnas.models.hnas.cost import HNASCost, multi_adds, num_parameters
from mmsrnas.models.hnas.decoding import HNASSpace

PUBLISHED = [
    # genotype, position, multiply-accumulates in G by the rule of the released code, and honest
    ("HNAS_A", 9, 306.3, 357.3),
    ("HNAS_A", 10, 255.0, 306.0),
    ("HNAS_B", 11, 482.2, 490.7),
    ("HNAS_C", 11, 558.8, 626.8),
    ("HNAS_C", 10, 697.7, 765.7),
    ("HNAS_C", 9, 836.6, 904.6),
]


def counted(net, height, width, kinds=nn.Conv2d | nn.ConvTranspose2d):
    """Multiply-accumulates of the convolutions that run, seen from outside."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        kernel = module.weight[0].numel() * module.weight.shape[0]
        where = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        total += kernel * where.shape[2] * where.shape[3]

    for module in net.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(count)
    with torch.no_grad():
        net(torch.rand(1, net.in_channels, height, width))
    return total


@pytest.mark.parametrize(("name", "position", "official", "honest"), PUBLISHED)
def test_published_multi_adds_at_3x480x480(name, position, official, honest):
    data = load_genotype(name).to_dict() | {"upsampling_position": position}
    genotype = HNASGenotype.from_dict(data)
    rule, ours = (multi_adds(genotype, (480, 480), variant=x) for x in ("official", "default"))
    # The reference counts the shifts by the mean colour, 1x1 convolutions there and sums here.
    shifts = 9 * (1 + 2**2) * 480 * 480
    assert round(rule / 1e9, 1) == official
    assert round((ours + shifts) / 1e9, 1) == honest


@pytest.mark.parametrize(("scale", "name", "giga"), [(4, "HNAS_A", 736.0), (4, "HNAS_B", 773.1)])
def test_published_multi_adds_of_x4(scale, name, giga):
    genotype = load_genotype(name).replace(upscale_factor=scale)
    assert round(multi_adds(genotype, (480, 480), variant="official") / 1e9, 1) == giga


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_formula_equals_a_count_on_random_architectures(scale):
    """50 random architectures per scale, 200 in all; parameters too."""
    space = HNASSpace(
        4,
        3,
        HNAS_PAPER_NORMAL_OPS,
        mid_channels=5,
        upscale_factor=scale,
        in_channels=scale % 2 or 3,
    )
    for row in space.random(50, torch.Generator().manual_seed(scale)):
        genotype = space.decode(row).replace(mid_channels=4)
        net = HNASNet(genotype)
        params = sum(p.numel() for p in net.parameters())
        assert multi_adds(genotype, (3, 2)) == counted(net, 3, 2)
        assert num_parameters(genotype) == params
        cost = multi_adds(space.decode(row), (3, 2), mid_channels=4)
        assert (cost, num_parameters(space.decode(row), 4)) == (
            multi_adds(genotype, (3, 2)),
            params,
        )


@pytest.mark.parametrize("scale", [2, 4])
def test_official_rule_counts_the_shifts_and_no_transposed_convolution(scale):
    """The released code shifts by the mean colour in two 1x1 convolutions, at LR and at HR size."""
    net = HNASNet("HNAS_A", scale, mid_channels=4)
    convolutions = counted(net, 3, 2, nn.Conv2d)
    assert convolutions < counted(net, 3, 2)
    shifts = 3 * 3 * (3 * 2) + 3 * 3 * (3 * scale * 2 * scale)
    assert multi_adds(net.genotype, (3, 2), variant="official") == convolutions + shifts


def test_cost_is_relative_to_the_space():
    space = HNASSpace(num_cells=4)
    generator = torch.Generator().manual_seed(5)
    rows = [space.decode(row) for row in space.random(2000, generator)]
    for metric in ("multi_adds", "params"):
        cost = HNASCost(space, metric, mid_channels=16)
        values = torch.tensor([cost.normalised(genotype) for genotype in rows])
        assert values.mean().item() == pytest.approx(0, abs=0.1)
        assert values.std().item() == pytest.approx(1, abs=0.1)
    assert cost(rows[0]) == num_parameters(rows[0], 16)


def test_space_of_equal_costs_has_no_cost_term():
    space = HNASSpace(1, 1, ("rcab",), ("nearest",))
    cost = HNASCost(space, dict(hr_size=(16, 16)))
    assert cost.normalised(space.decode(space.random(1)[0])) == 0


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"cost.type.*got 'flops'"):
        HNASCost(HNASSpace(), "flops")
    with pytest.raises(ValueError, match=r"mid_channels.*>= 3"):
        HNASCost(HNASSpace(), mid_channels=2)
