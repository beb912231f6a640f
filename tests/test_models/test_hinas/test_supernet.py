import itertools

import pytest
import torch
import torch.nn.functional as F

from mmsrnas.genotypes import HINAS_OPS
from mmsrnas.models import HiNASSupernet, SSIMLoss
from mmsrnas.models.hinas.network import HiNASCell
from mmsrnas.models.hinas.official import translate_official_keys
from mmsrnas.models.hinas.path import decode_cell, num_edges, one_hot_cell

DENOISE = dict(task="denoise", upscale_factor=1, in_channels=1)
TINY = dict(DENOISE, num_layers=2, num_nodes=2, base_channels=2)


def count(net):
    return sum(p.numel() for p in net.parameters())


def make(seed=0, **kwargs):
    torch.manual_seed(seed)
    net = HiNASSupernet(**kwargs)
    with torch.no_grad():
        for _, parameter in net.arch_parameters():
            parameter.normal_()
    return net


def results(net, x):
    """Output, all gradients and all running statistics of one training step."""
    y = net(x)
    (y * torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)).sum().backward()
    grads = {name: p.grad for name, p in net.named_parameters()}
    return {"output": y.detach()} | grads | dict(net.named_buffers())


def assert_same(got, expected, atol=1e-8):
    assert got.keys() == expected.keys()
    for name in got:
        torch.testing.assert_close(got[name], expected[name], rtol=atol, atol=atol, msg=name)


@pytest.mark.parametrize("literal", [True, False])
def test_official_supernet_is_reproduced(dump, literal):
    data, genotype = dump("super_dn_F4_3L2N")
    net = HiNASSupernet(
        **DENOISE, num_layers=3, num_nodes=2, base_channels=4, head="official", literal=literal
    )
    net.load_state_dict(translate_official_keys(data["state_dict"]), strict=True)
    assert count(net) == 97_764
    assert net.genotype() == genotype.replace(
        task="denoise", upscale_factor=1, in_channels=1, variant="official"
    )
    with torch.no_grad():
        output = net.eval()(data["input"])
    torch.testing.assert_close(output, data["output_eval"], rtol=0, atol=1e-5)
    output = net.train()(data["input"])
    loss = F.mse_loss(output, data["target"]) / 2 + SSIMLoss(0.25)(output, data["target"])
    loss.backward()
    torch.testing.assert_close(loss, data["train_loss"], rtol=0, atol=1e-5)
    torch.testing.assert_close(net.alpha.grad, data["grad_alphas"], rtol=0, atol=1e-5)
    torch.testing.assert_close(net.beta.grad, data["grad_betas"], rtol=0, atol=1e-5)
    assert net.alpha.grad.abs().max() > 1e-4


def test_official_parameter_counts():
    dn = HiNASSupernet(**DENOISE, num_layers=3, num_nodes=4, base_channels=10, head="official")
    sr = HiNASSupernet("sr", 4, 3, num_layers=2, num_nodes=3, base_channels=8, head="official")
    assert count(dn) == 1_475_669
    assert count(sr) == 429_147
    cells = [count(cell) for layer in dn.cells for cell in layer.values()]
    assert sorted(set(cells)) == [75_320, 162_330, 282_240]
    assert sum(cells) == 1_277_430
    assert [sum(p.numel() for _, p in net.arch_parameters()) for net in (dn, sr)] == [312, 135]
    assert count(HiNASSupernet(**DENOISE, num_layers=3, num_nodes=4, base_channels=10)) == count(dn)


def test_parameter_counts_without_cell_sharing():
    shared, unshared = (
        HiNASSupernet(**DENOISE, num_layers=3, num_nodes=4, base_channels=10, share_cells=share)
        for share in (True, False)
    )
    assert sum(len(layer) for layer in shared.cells) == 8
    assert sum(len(layer) for layer in unshared.cells) == 14
    assert count(unshared) == 1_475_669 - 1_277_430 + 5 * 75_320 + 6 * 162_330 + 3 * 282_240


@pytest.mark.parametrize("activation", ["leaky_relu", "relu", "prelu"])
@pytest.mark.parametrize("share_cells", [True, False])
def test_joint_evaluation_equals_the_formula(activation, share_cells):
    kwargs = dict(TINY, num_nodes=3, activation=activation, share_cells=share_cells)
    x = torch.rand(2, 1, 9, 11, dtype=torch.double)
    literal = results(make(**kwargs, literal=True).double(), x)
    assert_same(results(make(**kwargs).double(), x), literal)
    assert all(value is not None for value in literal.values())


def test_joint_evaluation_equals_the_formula_in_eval_mode():
    x = torch.rand(2, 1, 9, 11, dtype=torch.double)
    nets = [make(**TINY, literal=literal).double() for literal in (True, False)]
    for net in nets:
        net(x)
        net.eval()
    torch.testing.assert_close(nets[0](x), nets[1](x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("literal", [True, False])
def test_checkpointing_changes_nothing(literal):
    x = torch.rand(2, 1, 9, 11, dtype=torch.double)
    kept = results(make(**TINY, literal=literal).double(), x)
    assert_same(results(make(**TINY, literal=literal, with_cp=True).double(), x), kept, 1e-12)


@pytest.mark.parametrize("scope", ["network", "layer", "cell"])
def test_alpha_scopes(scope):
    net = make(**dict(TINY, num_layers=3), alpha_scope=scope)
    assert len(net.alpha) == {"network": 1, "layer": 3, "cell": 2 + 3 + 3}[scope]
    weights = {(n, k): net.cell_weights(n, k) for n in range(3) for k in range(net.levels[n + 1])}
    for (a, x), (b, y) in itertools.combinations(weights.items(), 2):
        same = scope == "network" or (scope == "layer" and a[0] == b[0])
        assert torch.equal(x, y) == same
    genotype = net.genotype()
    assert (len(set(genotype.cells)) == 1) == (scope == "network")


def test_impossible_moves_have_no_weight_and_no_gradient():
    net = make(**dict(TINY, num_layers=3))
    results(net, torch.rand(1, 1, 8, 8))
    assert [len(rows) for rows in net.transitions()] == [1, 2, 3]
    rows = torch.cat(net.transitions())
    impossible = torch.tensor([[0, 0], [1, 0], [3, 0], [5, 2]])
    assert torch.equal(net.impossible.nonzero(), impossible)
    assert (rows[net.impossible] == 0).all()
    assert (net.beta.grad[net.impossible] == 0).all()
    assert (net.beta.grad[~net.impossible] != 0).all()
    torch.testing.assert_close(rows.sum(dim=1), torch.ones(6))


def test_sharing_is_irrelevant_where_a_level_receives_from_one_level():
    """With one level only, both kinds of supernet are the same network."""
    kwargs = dict(TINY, width_multipliers=[1])
    shared, unshared = make(**kwargs), make(**kwargs, share_cells=False)
    state = {
        key.replace(".0.edges", ".0_0.edges"): value for key, value in shared.state_dict().items()
    }
    unshared.load_state_dict(state)
    x = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(shared(x), unshared(x))


def test_zero_residual_returns_the_image():
    x = torch.rand(1, 3, 9, 8)
    for task, scale in (("denoise", 1), ("sr", 4)):
        net = HiNASSupernet(task, scale, 3, num_nodes=1, base_channels=2)
        torch.nn.init.zeros_(net.last[0].weight)
        torch.nn.init.zeros_(net.last[0].bias)
        expected = x if scale == 1 else F.interpolate(x, scale_factor=scale, mode="bicubic")
        torch.testing.assert_close(net(x), expected)


def test_arch_parameters_are_the_named_parameters():
    net = HiNASSupernet(**TINY)
    names = dict(net.named_parameters())
    assert [name for name, _ in net.arch_parameters()] == ["alpha", "beta"]
    assert all(names[name] is parameter for name, parameter in net.arch_parameters())


def test_other_levels_and_widths():
    net = HiNASSupernet(**dict(TINY, num_layers=4), width_multipliers=[1, 2, 4, 8])
    assert net.widths == [2, 4, 8, 16]
    assert net.genotype().width_multipliers == (1, 2, 4, 8)
    assert net(torch.rand(1, 1, 8, 8)).shape == (1, 1, 8, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(task="derain"), "task: expected one of"),
        (dict(head="sigmoid"), "head: expected one of"),
        (dict(alpha_scope="edge"), "alpha_scope: expected one of"),
        (dict(activation="sin"), "activation: expected one of"),
        (dict(width_multipliers=[1, 2, 4, 8]), "width_multipliers: 2 layers reach 1 to 3 levels"),
        (dict(upscale_factor=4), "upscale_factor: expected 1 for task='denoise'"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        HiNASSupernet(**TINY | change)


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match="in_channels=1 but the images have 3 channels"):
        HiNASSupernet(**TINY)(torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize("share_cells", [True, False])
def test_discrete_supernet_runs_what_the_genotype_keeps(share_cells):
    net = make(**dict(TINY, num_layers=3), share_cells=share_cells).double()
    genotype = net.genotype()
    x = torch.rand(1, 1, 8, 8, dtype=torch.double)
    with torch.no_grad():
        net.discrete = True
        output = net(x)
        assert net.genotype() == genotype
        # What the genotype does not keep has no influence.
        for layer, cells in enumerate(net.cells):
            for name, cell in cells.items():
                if int(name[-1]) != genotype.path[layer]:
                    for param in cell.parameters():
                        param.zero_()
        torch.testing.assert_close(net(x), output)
        net.discrete = False
        assert (net(x) - output).abs().max() > 1e-6


def test_discrete_cell_is_the_derived_cell():
    """A cell with hard weights computes the cell of the genotype."""
    net = make(**TINY).double().eval()
    cell, weights = net.cells[0]["1"], net.cell_weights(0, 1)
    derived = HiNASCell(decode_cell(weights), net.widths[1], "leaky_relu").double().eval()
    for op, (name, source), node in zip(
        derived.ops, decode_cell(weights), (0, 0, 1, 1), strict=True
    ):
        if name != "skip_connect":
            mixed = cell.edges[num_edges(node) + source][HINAS_OPS.index(name)]
            op.load_state_dict(mixed.state_dict(), strict=False)
    states = torch.rand(2, 1, net.widths[1], 8, 8, dtype=torch.double)
    torch.testing.assert_close(cell(*states, one_hot_cell(weights)), derived(*states))


def test_collapse_is_told():
    net = HiNASSupernet(**TINY)
    assert net.collapse() is None
    with torch.no_grad():
        net.alpha[1, :, HINAS_OPS.index("skip_connect")] = 1
    assert net.collapse() == "cell 1 has 4 skip connections on 4 edges"
