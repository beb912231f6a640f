import pytest
import torch
from hnas_official import translate_official_keys
from torch import nn

from mmsrnas.genotypes import (
    HNAS_NORMAL_OPS,
    HNAS_PAPER_NORMAL_OPS,
    GenotypeError,
    HNASGenotype,
)
from mmsrnas.models import HNASNet, HNASSupernet
from mmsrnas.models.hnas.normalization import batch_statistics
from mmsrnas.models.supernet import PolicySupernet


def relative(value, reference):
    return ((value - reference).abs().max() / reference.abs().max()).item()


@pytest.fixture(scope="module")
def official(refs):
    return torch.load(refs / "hnas" / "supernet_c8_L4_x2.pt", weights_only=True)


@torch.no_grad()
def test_equals_the_released_supernet_in_both_modes_of_normalisation(official):
    config = official["config"]
    net = HNASSupernet(
        num_cells=config["layers"],
        mid_channels=config["channels"],
        normal_ops=HNAS_NORMAL_OPS,
        variant="official",
    )
    assert list(net.space.normal_ops) == config["op_order_normal"]
    assert list(net.space.upsampling_ops) == config["op_order_upsampling"]
    state = translate_official_keys(official["state_dict"])
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.startswith("policy.") for name in missing)
    net.double()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = official["input"].double() / 255
    for sample in official["samples"]:
        genotype = HNASGenotype(
            normal=tuple((net.space.normal_ops[op], f) for op, f, _ in sample["arch_normal"]),
            upsampling=tuple(
                (net.space.upsampling_ops[op], f) for op, f, _ in sample["arch_upsampling"]
            ),
            upsampling_position=sample["position_0based"],
            num_cells=config["layers"],
            mid_channels=config["channels"],
        )
        output = net.eval()(x, genotype) * 255
        assert relative(output, sample["out_eval_f64"]) < 1e-9
        with batch_statistics():
            output = net(x, genotype) * 255
        assert relative(output, sample["out_train_bn_f64"]) < 1e-9
        assert not net.training
    torch.testing.assert_close(dict(net.state_dict()), before, rtol=0, atol=0, equal_nan=True)


def test_published_size():
    net = HNASSupernet(normal_ops=HNAS_NORMAL_OPS)
    arch = {id(p) for _, p in net.arch_parameters()}
    # The released supernet has 772,819; each of its 24 cells holds a convolution 32 -> 32 with a
    # normalisation that nothing uses.
    unused = 24 * (32 * 32 + 2 * 32)
    weights = sum(p.numel() for p in net.parameters() if id(p) not in arch)
    assert weights == 772_819 - unused
    names = dict(net.named_parameters())
    assert all(names[name] is p for name, p in net.arch_parameters())


@torch.no_grad()
@pytest.mark.parametrize(("global_skip", "in_channels"), [(False, 3), (True, 1)])
def test_supernet_without_normalisation_equals_the_network_of_its_genotype(
    global_skip, in_channels, tmp_path
):
    """What the JSON file alone describes, with the weights of the supernet, computes the same."""
    torch.manual_seed(0)
    net = HNASSupernet(
        3,
        3,
        mid_channels=4,
        num_nodes=3,
        in_channels=in_channels,
        global_skip=global_skip,
        aligned=False,
    )
    net.double().eval()
    nn.init.normal_(net.conv_last.weight)  # zero with a skip
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.fill_(1 - module.eps)
    generator = torch.Generator().manual_seed(1)
    for row in net.space.random(8, generator):
        genotype = net.space.decode(row)
        genotype.save(tmp_path / "genotype.json")
        derived = HNASNet(tmp_path / "genotype.json").double()
        assert derived.genotype == genotype
        shared = list(net.cells)
        shared[genotype.upsampling_position] = net.upsampling_cells[genotype.upsampling_position]
        derived.stem[0].load_state_dict(net.stem[0].state_dict())
        derived.conv_last.load_state_dict(net.conv_last.state_dict())
        for index, (cell, source) in enumerate(zip(derived.cells, shared, strict=True)):
            for ours, theirs in zip(cell.preprocess, source.preprocess, strict=True):
                ours[0].load_state_dict(theirs[0].state_dict())
            edges = genotype.normal
            if index == genotype.upsampling_position:
                edges = genotype.upsampling
            for k, (op, node) in enumerate(edges):
                offset = {0: 0, 1: 2, 2: 5}[k // 2]
                weights = [
                    p
                    for name, p in source.edges[offset + node][op].named_parameters()
                    if p.dim() > 1 or not is_norm(source.edges[offset + node][op], name)
                ]
                for ours, theirs in zip(cell.ops[k].parameters(), weights, strict=True):
                    ours.copy_(theirs)
        x = torch.rand(1, in_channels, 6, 7, dtype=torch.double)
        torch.testing.assert_close(net(x, genotype), derived(x), rtol=0, atol=1e-10)


def is_norm(module, name):
    return isinstance(module.get_submodule(name.rpartition(".")[0]), nn.BatchNorm2d)


@torch.no_grad()
def test_without_architecture_the_most_likely_one_runs():
    torch.manual_seed(0)
    net = HNASSupernet(num_cells=3, mid_channels=4).eval()
    for _, parameter in net.arch_parameters():
        parameter.mul_(20)
    x = torch.rand(1, 3, 6, 6)
    assert torch.equal(net(x), net(x, net.genotype()))
    other = net.space.decode(net.space.random(1)[0])
    assert not torch.equal(net(x), net(x, other))


@pytest.mark.parametrize("scale", [3, 4, 8])
def test_other_scales_and_the_ops_of_the_paper(scale):
    net = HNASSupernet(scale, 2, 3, 2, normal_ops=HNAS_PAPER_NORMAL_OPS)
    for row in net.space.random(4):
        output = net(torch.rand(2, 3, 5, 4), net.space.decode(row))
        output.mean().backward()
        assert output.shape == (2, 3, 5 * scale, 4 * scale)


@torch.no_grad()
def test_with_global_skip_all_architectures_start_as_bicubic_interpolation():
    net = HNASSupernet(3, 2, 3, 2, global_skip=True).eval()
    x = torch.rand(2, 3, 5, 4)
    for row in net.space.random(3):
        expected = nn.functional.interpolate(x, scale_factor=3, mode="bicubic")
        assert torch.equal(net(x, net.space.decode(row)), expected)


def test_wrong_arguments_are_refused():
    net = HNASSupernet(num_cells=2, mid_channels=3)
    with pytest.raises(GenotypeError, match="'num_cells': the search space has 2"):
        net(torch.rand(1, 3, 4, 4), HNASSupernet(num_cells=3, mid_channels=3).genotype())
    genotype = net.genotype()
    for field, value in (("global_skip", True), ("mid_channels", 4), ("in_channels", 1)):
        with pytest.raises(GenotypeError, match=f"'{field}': the search space has"):
            net(torch.rand(1, 3, 4, 4), genotype.replace(**{field: value}))
    with pytest.raises(ValueError, match=r"normal_ops.*'conv_9x9'"):
        HNASSupernet(normal_ops=["conv_9x9"])
    with pytest.raises(ValueError, match=r"variant: expected one of .* got 'new'"):
        HNASSupernet(num_cells=2, mid_channels=3, variant="new")
    with pytest.raises(ValueError, match=r"in_channels.*got 2"):
        HNASSupernet(num_cells=2, mid_channels=3, in_channels=2)


def test_genotype_has_all_that_makes_the_network():
    net = HNASSupernet(4, 3, 5, 2, global_skip=True, in_channels=1)
    genotype = net.genotype()
    found = {
        "upscale_factor": genotype.upscale_factor,
        "num_cells": genotype.num_cells,
        "mid_channels": genotype.mid_channels,
        "num_nodes": genotype.num_nodes,
        "global_skip": genotype.global_skip,
        "in_channels": genotype.in_channels,
    }
    assert list(found.values()) == [4, 3, 5, 2, True, 1]


def test_it_keeps_the_contract_of_a_search_by_policy():
    cost = dict(type="multi_adds", hr_size=(16, 16))
    net = HNASSupernet(num_cells=2, mid_channels=3, cost=cost, derived_mid_channels=4)
    assert isinstance(net, PolicySupernet)
    reward = net.build_reward(0.3)
    assert (reward.performance_weight, reward.min_samples) == (0.3, 2)
    assert reward.mean_cost == reward.cost.mean
    assert reward.psnr_std is net.policy.psnr_std
    official = HNASSupernet(num_cells=2, mid_channels=3, variant="official")
    assert official.policy.part_weights == (1, 1, 10)
    assert official.build_reward().min_samples == 1
