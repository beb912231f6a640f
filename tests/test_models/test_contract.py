"""What every supernet and every network of the package keeps to, whatever its method."""

import inspect

import pytest
import torch
from torch import nn

from mmsrnas.analysis.complexity import count_complexity, input_size_of
from mmsrnas.apis.onnx import export_checked_onnx
from mmsrnas.costs import Cost
from mmsrnas.genotypes import (
    DLSRGenotype,
    DRCGenotype,
    ElasticGenotype,
    HiNASGenotype,
    HNASGenotype,
    load_genotype,
)
from mmsrnas.models.dlsr.cost import network_cost
from mmsrnas.models.elastic.cost import ChainCost
from mmsrnas.models.hnas.cost import multi_adds, num_parameters
from mmsrnas.models.supernet import (
    BudgetedSupernet,
    CostedSupernet,
    DiscreteSupernet,
    PathSupernet,
    PolicySupernet,
    Supernet,
)
from mmsrnas.pruning import WidthCost, find_sites
from mmsrnas.registry import MODELS

DLSR = DLSRGenotype(("conv_3x3", "sep_conv_5x5", "dil_conv_3x3"), ((0, 1), (2, 0)), 8)
NORMAL = (("rcab", 0), ("dil_conv_5x5", 1), ("sep_conv_3x3", 2), ("skip_connect", 1))
UPSAMPLING = (("sub_pixel", 0), ("deconvolution", 1), ("deconvolution", 2), ("bilinear", 1))
HNAS = HNASGenotype(NORMAL, UPSAMPLING, 1, 3, 4)
CELL = (("conv_3x3", 0), ("skip_connect", 1), ("dil_conv_5x5", 2), ("sep_conv_3x3", 0))
HINAS = HiNASGenotype((CELL, CELL), (0, 1), 4, upscale_factor=2)
DENOISE = HINAS.replace(task="denoise", upscale_factor=1, in_channels=1, path=(1, 1))
DRN = dict(type="DRNNet", upscale_factor=2, num_blocks=1, mid_channels=8)
DRC = DRCGenotype(
    "DRNNet",
    (8, 16, 16),
    (8, 16, 16),
    (("mid_channels", 8), ("num_blocks", 1), ("upscale_factor", 2)),
)
ELASTIC = ElasticGenotype(("conv_3x3", "gate_3x3", "conv_5x5"), (8, 8, 12), "prelu")
GENOTYPES = {
    "dlsr": DLSR,
    "dlsr gray x3": DLSR.replace(upscale_factor=3, in_channels=1, mid_channels=6, global_skip=True),
    "hnas": HNAS,
    "hnas gray x4": HNAS.replace(upscale_factor=4, in_channels=1, global_skip=True),
    "hinas": HINAS,
    "hinas gray denoising": DENOISE,
    "hinas colour denoising": DENOISE.replace(in_channels=3, variant="official"),
    "elastic": ELASTIC,
    "elastic gray denoising": ELASTIC.replace(
        activation="silu", upscale_factor=1, in_channels=1, widths=(4, 6, 6)
    ),
    "elastic x3": ELASTIC.replace(activation="gelu", upscale_factor=3, anchor="bicubic"),
    "drn": DRC,
    "pruned drn": DRC.replace(widths=(4, 12, 5)),
}
NETWORKS = {
    "dlsr": "DLSRNet",
    "hnas": "HNASNet",
    "hinas": "HiNASNet",
    "elastic": "ElasticNet",
    "drc": "DRNNet",
}
COSTS = {  # parameters and Multi-Adds by formula; HiNAS has them for decided supernets only
    "dlsr": lambda g: (network_cost("params", g), network_cost("multi_adds", g)),
    "hnas": lambda g: (num_parameters(g), multi_adds(g)),
    "elastic": lambda g: tuple(ChainCost(Cost(kind))(g) for kind in ("params", "multi_adds")),
    "drc": lambda g: tuple(
        round(WidthCost(full := build(DRN), find_sites(full), kind)(g.widths))
        for kind in ("params", "multi_adds")
    ),
}
SUPERNETS = {
    "dlsr": dict(type="DLSRSupernet", mid_channels=8, num_cells=4),
    "dlsr official gray x3": dict(
        type="DLSRSupernet", upscale_factor=3, mid_channels=6, variant="official", in_channels=1
    ),
    "dlsr with interpolation": dict(
        type="DLSRSupernet", mid_channels=4, num_cells=2, global_skip=True
    ),
    "hnas": dict(type="HNASSupernet", num_cells=2, mid_channels=3, num_nodes=1),
    "hnas gray x3": dict(
        type="HNASSupernet",
        upscale_factor=3,
        num_cells=2,
        mid_channels=3,
        num_nodes=1,
        in_channels=1,
        global_skip=True,
    ),
    "hinas": dict(type="HiNASSupernet", upscale_factor=2, num_cells=2, num_nodes=2, mid_channels=2),
    "hinas gray denoising": dict(
        type="HiNASSupernet",
        task="denoise",
        upscale_factor=1,
        in_channels=1,
        num_cells=2,
        num_nodes=1,
        mid_channels=2,
        variant="official",
    ),
    "elastic": dict(
        type="ElasticSupernet",
        num_cells=(1, 2, 3),
        mid_channels=(4, 8),
        activations=("leaky_relu", "prelu"),
        cells_per_stage=2,
    ),
    "elastic gray denoising": dict(
        type="ElasticSupernet",
        num_cells=(2,),
        mid_channels=(4, 6),
        ops=("conv_5x5", "gate_3x3"),
        activations=("silu",),
        upscale_factor=1,
        in_channels=1,
    ),
    "dlsr paths": dict(
        type="SharedSupernet",
        space=dict(type="mmsrnas.DLSRSpace", num_cells=3, mid_channels=4, in_channels=1),
    ),
    "hinas paths": dict(
        type="SharedSupernet",
        space=dict(
            type="mmsrnas.HiNASSpace", upscale_factor=2, num_cells=1, num_nodes=1, mid_channels=2
        ),
    ),
    "hnas paths": dict(
        type="SharedSupernet",
        space=dict(
            type="mmsrnas.HNASSpace", num_cells=2, num_nodes=1, mid_channels=4, deduplicate=True
        ),
    ),
    "channel numbers": dict(
        type="ChannelNumberSearch",
        generator=DRN | {"type": "mmsrnas.DRNNet"},
        budget_share=0.7,
    ),
}


def build(cfg):
    torch.manual_seed(0)
    return MODELS.build(cfg | {"type": f"mmsrnas.{cfg['type']}"})


def network_of(genotype):
    return build(dict(type=NETWORKS[genotype.method], genotype=genotype))


def images(net, batch=2):
    """Odd and different sides, small but not too small."""
    height = max(net.min_size, 5) // 2 * 2 + 1
    return torch.rand(batch, net.in_channels, height, height + 4)


def run(net, x, architecture=None):
    """All images that a network makes in training, the one of its full size last."""
    if architecture:
        return [net(x, architecture)]
    inner = getattr(net, "generator", net)
    if "pyramid" in inspect.signature(inner.forward).parameters:
        return net(x, pyramid=True)
    return [net(x)]


def expected_shape(net, x):
    return (*x.shape[:2], *(side * net.upscale_factor for side in x.shape[2:]))


def check_gradients(named_parameters):
    for name, parameter in named_parameters:
        if not parameter.requires_grad:  # the colour means of DRN
            continue
        assert parameter.grad is not None, f"{name} is not used"
        assert parameter.grad.isfinite().all(), name


def check_copy(net, twin):
    """The state dict is all that makes two networks the same."""
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1)
    twin.load_state_dict(net.state_dict(), strict=True)
    x = images(net)
    with torch.no_grad():
        torch.testing.assert_close(twin.eval()(x), net.eval()(x), rtol=0, atol=0)


def test_every_registered_model_is_tested_here():
    def is_ours(cls):
        return inspect.isclass(cls) and cls.__module__.startswith(
            ("mmsrnas.models.", "mmsrnas.pruning.")
        )

    classes = {name: cls for name, cls in MODELS.module_dict.items() if is_ours(cls)}
    supernets = {name for name, cls in classes.items() if hasattr(cls, "arch_parameters")}
    networks = {
        name for name, cls in classes.items() if "genotype" in inspect.signature(cls).parameters
    }
    assert supernets == {cfg["type"] for cfg in SUPERNETS.values()}
    assert networks == set(NETWORKS.values())


@pytest.mark.parametrize("genotype", GENOTYPES.values(), ids=GENOTYPES)
def test_network(genotype):
    net = network_of(genotype)
    assert net.genotype == genotype
    said = genotype.to_dict() | dict(getattr(genotype, "arguments", ()))
    assert net.in_channels == said.get("in_channels", 3)
    assert net.upscale_factor == said["upscale_factor"]
    x = images(net)
    outputs = run(net.train(), x)
    assert outputs[-1].shape == expected_shape(net, x)
    sum(output.square().mean() for output in outputs).backward()
    check_gradients(net.named_parameters())
    check_copy(net, network_of(genotype))


@torch.no_grad()
@pytest.mark.parametrize("genotype", GENOTYPES.values(), ids=GENOTYPES)
def test_smallest_image(genotype):
    net = network_of(genotype).eval()
    x = torch.rand(1, net.in_channels, net.min_size, net.min_size)
    assert net(x).shape == expected_shape(net, x)
    if net.min_size > 1:
        with pytest.raises(ValueError, match=f"at least {net.min_size} x {net.min_size} pixels"):
            net(x[..., 1:])


@pytest.mark.parametrize("genotype", GENOTYPES.values(), ids=GENOTYPES)
def test_json_file_alone_builds_the_network(genotype, tmp_path):
    genotype.save(tmp_path / "genotype.json", {"seed": 0})
    twin = build(dict(type=NETWORKS[genotype.method], genotype=str(tmp_path / "genotype.json")))
    assert twin.genotype == genotype
    check_copy(network_of(genotype), twin)


@pytest.mark.parametrize(
    ("field", "value"), [("mid_channels", 12), ("upscale_factor", 3), ("in_channels", 1)]
)
@pytest.mark.parametrize("name", ["dlsr", "hnas", "hinas", "elastic"])
def test_an_argument_changes_the_genotype(name, field, value):
    genotype = GENOTYPES[name]
    if not hasattr(genotype, field):  # the widths of an elastic network are part of the search
        return
    cfg = dict(type=NETWORKS[genotype.method], genotype=genotype)
    net = build(cfg | {field: value})
    assert net.genotype == genotype.replace(**{field: value})
    check_copy(net, network_of(net.genotype))
    for wrong in (0, "3", 2.5, True, -1, 10**9):
        with pytest.raises(ValueError, match=f"'{field}'"):
            build(cfg | {field: wrong})


@pytest.mark.parametrize(
    "genotype",
    [pytest.param(g, id=name) for name, g in GENOTYPES.items() if g.method in COSTS],
)
def test_formula_of_the_cost_is_the_count(genotype):
    with torch.device("meta"):
        net = network_of(genotype)
    counted = count_complexity(net, input_size_of(net))
    assert COSTS[genotype.method](genotype) == (counted.params, counted.multi_adds)


@pytest.mark.parametrize(
    "name",
    [
        *("dlsr gray x3", "hnas", "hinas", "hinas gray denoising", "pruned drn"),
        *("elastic", "elastic gray denoising", "elastic x3"),
    ],
)
def test_onnx_file_computes_the_same(name, tmp_path):
    net = network_of(GENOTYPES[name]).eval()
    report = export_checked_onnx(net, tmp_path / "net.onnx")
    assert report.file_error < 1e-4
    assert {shape[1] for shape in report.shapes} == {net.in_channels}


@pytest.mark.parametrize("cfg", SUPERNETS.values(), ids=SUPERNETS)
def test_supernet(cfg):
    net = build(cfg)
    assert isinstance(net, Supernet)
    # From Python 3.12 on, `isinstance` of a protocol does not find modules that are attributes.
    for protocol in (CostedSupernet, BudgetedSupernet, DiscreteSupernet, PolicySupernet):
        if isinstance(net, protocol):
            for name in protocol.__annotations__:
                inspect.getattr_static(net, name)
    parameters = dict(net.named_parameters())
    arch = dict(net.arch_parameters())
    assert arch or isinstance(net, PathSupernet)  # which has weights alone
    assert all(parameters[name] is parameter for name, parameter in arch.items())
    x = images(net)
    for architecture in architectures(net):
        outputs = run(net.train(), x, architecture)
        assert outputs[-1].shape == expected_shape(net, x)
        sum(output.square().mean() for output in outputs).backward()
        trained = [p for p in parameters.items() if architecture is None or p[0] not in arch]
        if all(p.grad is not None for _, p in trained if p.requires_grad):
            break
    check_gradients(trained)
    twin = build(cfg)
    check_copy(net, twin)
    assert twin.genotype() == net.genotype()


def architectures(net):
    """The architectures that together use all weights: None where every call uses all."""
    if not hasattr(net, "space"):
        return [None]
    if isinstance(net, PathSupernet):
        return list(net.space.cover())
    rows = net.space.random(100, torch.Generator().manual_seed(0))
    return [net.space.decode(row) for row in rows]


@pytest.mark.parametrize("cfg", SUPERNETS.values(), ids=SUPERNETS)
def test_json_file_of_a_supernet_builds_its_network(cfg, tmp_path):
    net = build(cfg)
    net.genotype().save(tmp_path / "genotype.json")
    genotype = load_genotype(tmp_path / "genotype.json")
    assert genotype == net.genotype()
    derived = build(dict(type=NETWORKS[genotype.method], genotype=str(tmp_path / "genotype.json")))
    for name in ("in_channels", "upscale_factor", "min_size"):
        assert getattr(derived, name) == getattr(net, name)
    x = images(net)
    with torch.no_grad():
        assert derived.eval()(x).shape == net.eval()(x).shape


@pytest.mark.parametrize("cost", ["params", "multi_adds"])
@pytest.mark.parametrize("name", ["dlsr", "hinas"])
def test_expected_cost_of_a_decided_supernet_is_the_count(name, cost):
    net = build(SUPERNETS[name] | {"cost": cost}).double()
    assert isinstance(net, CostedSupernet)
    assert net.reference_cost > 0
    with torch.no_grad():
        for _, parameter in net.arch_parameters():
            parameter.zero_()
            # One operation everywhere, so that the edges of a node cost the same; beta 1 of HiNAS
            # is the only move that exists at every level.
            parameter[..., 1] = 200.0
    derived = network_of(net.genotype())
    counted = count_complexity(derived, input_size_of(derived))
    assert net.expected_cost().item() == pytest.approx(getattr(counted, cost), rel=1e-6)
    loss = net.expected_cost() / net.reference_cost
    loss.backward()
    assert net.alpha.grad.isfinite().all()


@pytest.mark.parametrize("cost", ["params", "multi_adds"])
def test_expected_cost_of_decided_channel_numbers_is_the_count(cost):
    net = build(SUPERNETS["channel numbers"] | {"cost": cost})
    assert isinstance(net, BudgetedSupernet)
    assert net.budget == pytest.approx(0.7 * net.reference_cost)
    with torch.no_grad():
        for _, parameter in net.arch_parameters():
            parameter.zero_()
            parameter[..., 1] = 200.0
    widths = net.expected_widths().round().int().tolist()
    derived = network_of(net.genotype().replace(widths=widths))
    counted = count_complexity(derived, input_size_of(derived))
    assert net.expected_cost().item() == pytest.approx(getattr(counted, cost), rel=1e-6)


@torch.no_grad()
def test_discrete_supernets_run_another_function_and_come_back():
    found = []
    for name, cfg in SUPERNETS.items():
        net = build(cfg).eval()
        if isinstance(net, DiscreteSupernet):
            found.append(name)
            x = images(net)
            mixed = net(x)
            net.discrete = True
            assert not torch.allclose(net(x), mixed)
            net.discrete = False
            torch.testing.assert_close(net(x), mixed, rtol=0, atol=0)
    assert found == ["hinas", "hinas gray denoising"]


def test_a_network_is_no_supernet():
    assert not isinstance(network_of(DLSR), Supernet)
    assert not isinstance(nn.Identity(), Supernet)
