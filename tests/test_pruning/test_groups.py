"""Channel groups of the networks of the zoo, and of random ones."""

import copy
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmsrnas.apis.onnx import check_onnx, export_onnx
from mmsrnas.costs import Cost
from mmsrnas.pruning import (
    GroupCost,
    PrunedNet,
    find_channels,
    find_groups,
    full_genotype,
    largest_error,
    mask_channels,
    remove_channels,
    verified_groups,
)
from mmsrnas.pruning.rules import RULES, rule
from mmsrnas.registry import MODELS

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
prunable = importlib.import_module("prunable")

TABLE = {
    cells[0]: cells[1:]
    for line in prunable.PAGE.read_text().split(prunable.BEGIN)[1].splitlines()[2:]
    if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 5
}


def half(groups):
    return [torch.arange(group.width)[:: 2 if group.width > 1 else 1] for group in groups]


@pytest.mark.parametrize("name", prunable.configs())
def test_table_is_true_and_pruned_networks_are_whole(name, tmp_path):
    """Groups, trial, exact costs, gradients; genotype and ONNX."""
    if name.endswith("(spandrel)"):
        pytest.importorskip("spandrel")
    torch.manual_seed(0)
    cfg = prunable.configs()[name]
    net = MODELS.build(cfg)
    found = verified_groups(net)
    groups = list(found.groups)
    cells = [cell.strip() for cell in prunable.row(name, net, found).strip("|").split("|")]
    assert TABLE[cells[0]] == cells[1:]
    kept = half(groups)
    widths = tuple(map(len, kept))
    for kind in (Cost("params"), Cost("multi_adds", hr_size=(48, 48))):
        cost = GroupCost(net, groups, kind)
        assert cost(widths) == cost.exact(widths) < cost(cost.full_widths)
    pruned = copy.deepcopy(net)
    remove_channels(pruned, groups, kept)
    params = [param for param in pruned.parameters() if param.requires_grad]
    image = torch.rand(2, getattr(net, "in_channels", 3), 24, 24)
    pruned.train()(image).abs().sum().backward()
    read = [param for param in params if param.grad is not None]
    assert len(read) >= 0.6 * len(params) and all(p.grad.isfinite().all() for p in read)
    genotype = full_genotype(net, cfg, sites=False)
    names = dict(zip([group.name for group in groups], widths, strict=True))
    genotype = genotype.replace(
        widths=tuple(
            names.get(name, full)
            for name, full in zip(genotype.groups, genotype.full_widths, strict=True)
        )
    )
    built = MODELS.build(dict(type="mmsrnas.PrunedNet", genotype=genotype.to_dict()))
    built.load_state_dict(pruned.state_dict(), strict=True)
    assert built.genotype == genotype and built.genotype.network == "PrunedNet"
    refused = _refusal(built, tmp_path / "net.onnx")
    assert bool(refused) == (name in NOT_EXPORTED)
    if refused:
        assert _refusal(net.eval(), tmp_path / "full.onnx") == refused


NOT_EXPORTED = ("RRDBNet", "SwinIRNet", "SAFMN (spandrel)")
"""Their own code keeps the size of the traced image, or pads by more than a small image has."""


def _refusal(net, path):
    """The kind of error with which export or parity on odd sizes ends, None without one."""
    try:
        export_onnx(net, path)
        check_onnx(net, path)
    except Exception as error:
        return type(error)


@pytest.mark.parametrize(
    "activation",
    [
        nn.LeakyReLU(),
        *(kind(inplace=True) for kind in (nn.CELU, nn.ELU, nn.Hardsigmoid, nn.Hardtanh)),
        *(kind(inplace=True) for kind in (nn.LeakyReLU, nn.SELU)),
    ],
)
def test_activations_that_older_torch_does_not_mark_as_pointwise(activation, monkeypatch):
    def unmarked(tracer, call):
        tracer._leave_alone(call)

    monkeypatch.setattr("mmsrnas.pruning.rules.pointwise", unmarked)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), activation, nn.Conv2d(4, 3, 3))
    assert [group.width for group in find_groups(net)] == [4]


class Random(nn.Module):
    """A chain of random operators with streams to add and to concatenate."""

    def __init__(self, seed):
        super().__init__()
        rng = np.random.default_rng(seed)
        self.layers, self.steps = nn.ModuleList(), []
        width = 2 * int(rng.integers(2, 6))
        self.layers.append(nn.Conv2d(3, width, 3, padding=1))
        widths, self.scale = [width], 1
        for _ in range(int(rng.integers(3, 8))):
            kind = rng.choice(KINDS)
            source = int(rng.integers(len(widths)))
            width = widths[-1]
            if kind in ("add", "mul") and widths[source] != width:
                kind = "cat"
            if kind == "cat":
                width += widths[source]
            elif kind == "gate" and width % 2 == 0:
                width //= 2
            elif kind in ("gate", "conv", "transposed", "group", "shuffle"):
                new = 2 * int(rng.integers(2, 6))
                width, layer = new, _layer(kind, width, new)
                kind = "layer"
                self.layers.append(layer)
            elif kind != "add" and kind != "mul":
                self.layers.append(_layer(kind, width, width))
                kind = "layer"
            self.steps.append((kind, source))
            widths.append(width)
        self.layers.append(nn.Conv2d(widths[-1], 3, 1))

    def forward(self, x):
        layers = iter(self.layers)
        features = [next(layers)(x)]
        for kind, source in self.steps:
            last, other = features[-1], features[source]
            if kind == "cat":
                last = torch.cat([last, other], dim=1)
            elif kind == "add":
                last = last + other
            elif kind == "mul":
                last = last * torch.sigmoid(other)
            elif kind == "gate":
                first, second = last.chunk(2, dim=1)
                last = first * second
            else:
                last = next(layers)(last)
            features.append(last)
        return next(layers)(features[-1])


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 1), nn.BatchNorm2d(width)

    def forward(self, x):
        return x * torch.sigmoid(self.norm(self.conv(F.adaptive_avg_pool2d(x, 1))))


class Linear(nn.Linear):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Norm(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


KINDS = ["add", "mul", "cat", "gate", "conv", "transposed", "group", "shuffle", "depthwise"]
KINDS += ["norm", "prelu", "layernorm", "attention", "linear", "blur", "act", "dropout"]


def _layer(kind, width, new):
    return {
        "conv": lambda: nn.Conv2d(width, new, 3, padding=1),
        "gate": lambda: nn.Conv2d(width, new, 1),
        "transposed": lambda: nn.ConvTranspose2d(width, new, 3, padding=1),
        "group": lambda: nn.Conv2d(width, new, 3, padding=1, groups=2 if width % 2 == 0 else 1),
        "shuffle": lambda: nn.Sequential(
            nn.PixelUnshuffle(2), nn.Conv2d(4 * width, 4 * new, 1), nn.PixelShuffle(2)
        ),
        "depthwise": lambda: nn.Conv2d(width, width, 3, padding=1, groups=width),
        "norm": lambda: nn.BatchNorm2d(width),
        "prelu": lambda: nn.PReLU(width),
        "layernorm": lambda: Norm(width),
        "attention": lambda: Attention(width),
        "linear": lambda: Linear(width, width),
        "blur": lambda: nn.AvgPool2d(3, 1, 1),
        "act": lambda: nn.GELU(),
        "dropout": lambda: nn.Sequential(nn.Dropout(0.5), nn.Dropout2d(0.5)),
    }[kind]()


@pytest.mark.parametrize("block", range(4))
def test_random_networks_survive_random_pruning(block):
    """Twenty-five networks each, without the trial that would refuse a wrong group."""
    pruned = 0
    for seed in range(25 * block, 25 * (block + 1)):
        torch.manual_seed(seed)
        net = Random(seed).double().eval()
        image = torch.rand(1, 3, 6, 10, dtype=torch.double)
        groups = find_groups(net)
        kept = [torch.randperm(g.width)[: max(1, g.width // 2)].sort().values for g in groups]
        assert largest_error(net, groups, kept, image) < 1e-6, seed
        pruned += len(groups)
    assert pruned > 25


def test_a_network_with_a_width_of_its_own_is_refused_by_name():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 3, 1)
            self.more, self.end = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 3, 1)

        def forward(self, x):
            y = self.first(x)
            return self.last(y.view(len(x), 8, *x.shape[2:])) + self.end(self.more(x))

    found = verified_groups(Fixed())
    assert [group.name for group in found.groups] == ["more"]
    (refused,) = found.left_alone
    assert refused.startswith("'first' (8 channels) its removal fails: RuntimeError: shape")


def test_an_operator_without_a_rule_is_named_with_its_place_and_ten_lines_are_a_rule():
    class Inner(nn.Module):
        def forward(self, x):
            return torch.cummax(x, dim=2).values

    net = nn.Sequential(nn.Conv2d(3, 8, 1), Inner(), nn.Conv2d(8, 3, 1))
    found = find_channels(net)
    assert not found.groups
    (left,) = found.left_alone
    assert str(left) == "'0' (8 channels) no rule for the operator 'aten::cummax' in '1'"

    @rule("cummax")
    def cumulative(tracer, call):
        axes = tracer.axes(call["self"])
        tracer.fix(axes[call["dim"]], "is accumulated")
        for tensor in call.result:
            tracer.set(tensor, axes)

    try:
        (group,) = verified_groups(net).groups
        assert (group.name, group.width) == ("0", 8)
    finally:
        del RULES["cummax"]


def test_shared_weights_are_cut_once():
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1))
    net.append(nn.Conv2d(8, 3, 1))
    net[2].weight = net[1].weight
    (group,) = verified_groups(net).groups
    remove_channels(net, [group], [torch.arange(3)])
    assert net[2].weight is net[1].weight and net[1].weight.shape == (3, 3, 1, 1)


def test_masked_weights_come_back_and_misfits_of_genotypes_are_named():
    cfg = dict(type="EDSRNet", **prunable.REGISTERED["EDSRNet"])
    net = MODELS.build(cfg)
    groups = find_groups(net)
    genotype = full_genotype(net, cfg, sites=False)
    assert genotype.groups == tuple(group.name for group in groups)
    with pytest.raises(ValueError, match=r"EDSRNet has no group 'body\.7\.conv1'"):
        PrunedNet(genotype.replace(groups=("body.7.conv1", *genotype.groups[1:])))
    with pytest.raises(ValueError, match="full_widths"):
        PrunedNet(genotype.replace(full_widths=(17, *genotype.full_widths[1:])))
    with pytest.raises(ValueError, match="there is no network 'NoNet'"):
        PrunedNet(genotype.replace(architecture="NoNet"))
    mask_channels(net, groups[:1], [torch.arange(4)])
    assert net.conv_first.weight[4:].abs().sum() == 0 < net.conv_first.weight[:4].abs().sum()
