import zlib

import numpy as np
import pytest
import torch

from mmsrnas.genotypes import DLSR_OPS
from mmsrnas.models import DLSRNet, DLSRSupernet
from mmsrnas.models.dlsr.official import translate_official_keys

VARIANTS = {
    "official": ("RFDN_beta1", "beta1", (0, 1, 2, 3)),
    "default": ("RFDN_beta2", "beta2", (0, 1, 2)),
}


def official_keys():
    """Entries of the released supernet, in its own names."""
    ops = {f"layers.{i}.op.0" for i in range(4)}
    ops |= {f"layers.{i}.op.{j}" for i in (4, 5, 6) for j in (1, 2, 4, 5)}
    ops |= {f"layers.{i}.op.{j}" for i in (7, 8) for j in (1, 2)}
    keys = [f"B{k}.c{m}_r.{op}.weight" for k in range(1, 7) for m in (1, 2, 3) for op in ops]
    esa = [f"esa.{c}" for c in ("conv1", "conv_f", "conv_max", "conv2", "conv3", "conv3_", "conv4")]
    biased = [f"B{k}.{m}" for k in range(1, 7) for m in ("c1_d", "c2_d", "c3_d", "c4", "c5", *esa)]
    biased += [f"c{k}.0" for k in range(2, 7)] + ["fea_conv", "LR_conv", "upsampler.0"]
    return keys + [f"{m}.{leaf}" for m in biased for leaf in ("weight", "bias")]


def recipe(key, shape):
    values = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape)
    factor = 1 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.1
    return torch.from_numpy(values.astype(np.float32) * np.float32(factor))


def load_recipe(net):
    ours = translate_official_keys({key: key for key in official_keys()})
    shapes = {name: p.shape for name, p in net.state_dict().items()}
    state = {name: recipe(key, shapes[name]) for name, key in ours.items()}
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected
    assert {name.partition(".")[0] for name in missing} == {"alpha", "beta"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_the_released_supernet(refs, variant):
    dump = np.load(refs / "dlsr" / "dlsr_supernet_ref.npz")
    name, beta, indices = VARIANTS[variant]
    net = DLSRSupernet(variant=variant)
    load_recipe(net)
    with torch.no_grad():
        net.alpha.copy_(torch.from_numpy(dump["alphas"]))
    # The released predecessor rule keeps a vector of 2 for the fourth cell first, as ours does.
    with torch.no_grad():
        for i, index in enumerate(indices):
            net.beta[i].copy_(torch.from_numpy(dump[f"{beta}_{index}"]))
    output = net(torch.from_numpy(dump["x"]).float() / 255) * 255
    output.abs().mean().backward()
    torch.testing.assert_close(output, torch.from_numpy(dump[f"y_{name}"]), rtol=0, atol=2e-3)
    reference = torch.from_numpy(dump[f"galpha_{name}"])
    torch.testing.assert_close(net.alpha.grad, reference, rtol=0, atol=5e-5)
    for i, index in enumerate(indices):
        reference = torch.from_numpy(dump[f"gbeta_{name}_{index}"])
        torch.testing.assert_close(net.beta[i].grad, reference, rtol=0, atol=1e-5)


def test_parameter_count():
    net = DLSRSupernet(variant="official")
    arch = {id(p) for _, p in net.arch_parameters()}
    assert sum(p.numel() for p in net.parameters() if id(p) not in arch) == 4_212_924
    assert sum(p.numel() for _, p in net.arch_parameters()) == 27 + 14
    assert sum(p.numel() for _, p in DLSRSupernet().arch_parameters()) == 27 + 9


def test_arch_parameters_are_the_named_parameters():
    net = DLSRSupernet(mid_channels=4)
    names = dict(net.named_parameters())
    assert all(names[name] is parameter for name, parameter in net.arch_parameters())


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("cost", ["params", "multi_adds", [1.0, 2, 3, 4, 5, 6, 7, 8, 9]])
def test_cost_has_the_gradient_of_the_formula(cost, variant):
    net = DLSRSupernet(mid_channels=8, num_cells=2, cost=cost, variant=variant)
    with torch.no_grad():
        net.alpha.normal_()
    (net.expected_cost() / net.reference_cost).backward()
    weights, cost = net.alpha.softmax(1), net.op_costs / net.op_costs.sum()
    expected = weights * (cost - (weights * cost).sum(1, keepdim=True))
    torch.testing.assert_close(net.alpha.grad, expected.detach())
    assert net.alpha.grad.abs().max() > 1e-3


def test_published_values_of_the_cost():
    net = DLSRSupernet(num_cells=2, variant="official")
    values = []
    for ops in (None, ["conv_7x7"] * 3, ["conv_1x1", "sep_conv_7x7", "sep_conv_5x5"]):
        with torch.no_grad():
            net.alpha.zero_()
            for row, op in enumerate(ops or ()):
                net.alpha[row, DLSR_OPS.index(op)] = 50.0
        values.append(net.expected_cost().item() / net.reference_cost)
    assert values == pytest.approx([1 / 3, 1.531, 0.0829], abs=5e-4)


def test_costs_count_the_weights_of_the_candidates():
    net = DLSRSupernet(mid_channels=48, num_cells=2)
    params = [2304, 20736, 57600, 112896, 5472, 7008, 9312, 2736, 3504]
    assert net.op_costs.tolist() == params
    assert net.reference_cost == 2 * sum(params)
    net = DLSRSupernet(mid_channels=48, num_cells=2, cost="multi_adds")
    assert net.op_costs.tolist() == [360 * 640 * count for count in params]


@pytest.mark.parametrize("variant", VARIANTS)
def test_supernet_with_decided_alpha_equals_the_derived_network(variant):
    """The network that the genotype names, with the weights of the supernet, is the supernet."""
    torch.manual_seed(0)
    net = DLSRSupernet(mid_channels=8, num_cells=4, variant=variant).double()
    with torch.no_grad():
        for _, parameter in net.arch_parameters():
            parameter.copy_(parameter.argsort().argsort() * 200.0)
    genotype = net.genotype()
    derived = DLSRNet(genotype).double()
    state = net.state_dict()
    for key in derived.state_dict():
        if ".ops." in key:
            head, _, tail = key.partition(".ops.")
            row, _, leaf = tail.partition(".")
            state[key] = state[
                f"{head}.ops.{row}.ops.{DLSR_OPS.index(genotype.ops[int(row)])}.{leaf}"
            ]
    for index, pair in enumerate(genotype.connections):
        weights = net.connection_weights(index + 2)
        kernel = state[f"connections.{index}.weight"].unflatten(1, (-1, 8))
        chosen = [weights[i] * kernel[:, i] for i in pair]
        state[f"connections.{index}.weight"] = torch.cat(chosen, dim=1)
        if variant == "default":
            assert pair[1] == index + 1
    derived.load_state_dict({key: state[key] for key in derived.state_dict()})
    x = torch.rand(1, 3, 16, 17, dtype=torch.double)
    torch.testing.assert_close(derived(x), net(x), rtol=0, atol=1e-9)


def test_bad_arguments_are_refused():
    for arguments, message in (
        (dict(variant="top2"), "variant: expected one of .*'top2'"),
        (dict(cost=[1.0]), "cost: expected 'params', 'multi_adds', .*or 9 numbers"),
        (dict(cost=[0] * 9), "cost: expected"),
        (dict(cost=[-1, *[1] * 8]), "cost: expected"),
        (dict(cost="macs"), r"cost.type: expected .*'macs'"),
        (dict(num_cells=1), "num_cells: expected at least 2, got 1"),
        (dict(num_cells=2.0), r"num_cells: expected at least 2, got 2\.0"),
        (dict(num_cells=1000), "'connections': expected `array` of length <= 126"),
        (dict(mid_channels=7), "'mid_channels': .* multiple of 2: 7"),
        (dict(upscale_factor=0), "'upscale_factor': expected `int` >= 1: 0"),
        (dict(in_channels=None), "'in_channels'"),
    ):
        with pytest.raises(ValueError, match=message):
            DLSRSupernet(**arguments)
