import itertools

import pytest
import torch
import torch.nn.functional as F
from hinas_official import translate_official_keys

from mmsrnas.genotypes import HINAS_OPS
from mmsrnas.models import HiNASNet, HiNASSupernet, SSIMLoss
from mmsrnas.models.hinas.decoding import num_edges, one_hot_cell

DENOISE = dict(task="denoise", upscale_factor=1, in_channels=1)
TINY = dict(DENOISE, num_cells=2, num_nodes=2, mid_channels=2)


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


@pytest.mark.parametrize("reference", [True, False])
def test_official_supernet_is_reproduced(dump, reference):
    data, genotype = dump("super_dn_F4_3L2N")
    net = HiNASSupernet(
        **DENOISE, num_cells=3, num_nodes=2, mid_channels=4, variant="official", reference=reference
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
    dn = HiNASSupernet(**DENOISE, num_cells=3, num_nodes=4, mid_channels=10, variant="official")
    sr = HiNASSupernet("sr", 4, 3, num_cells=2, num_nodes=3, mid_channels=8, variant="official")
    assert count(dn) == 1_475_669
    assert count(sr) == 429_147
    cells = [count(cell) for layer in dn.cells for cell in layer.values()]
    assert sorted(set(cells)) == [75_320, 162_330, 282_240]
    assert sum(cells) == 1_277_430
    assert [sum(p.numel() for _, p in net.arch_parameters()) for net in (dn, sr)] == [312, 135]
    assert count(HiNASSupernet(**DENOISE, num_cells=3, num_nodes=4, mid_channels=10)) == count(dn)


def test_parameter_counts_without_cell_sharing():
    shared, unshared = (
        HiNASSupernet(**DENOISE, num_cells=3, num_nodes=4, mid_channels=10, share_cells=share)
        for share in (True, False)
    )
    assert sum(len(layer) for layer in shared.cells) == 8
    assert sum(len(layer) for layer in unshared.cells) == 14
    assert count(unshared) == 1_475_669 - 1_277_430 + 5 * 75_320 + 6 * 162_330 + 3 * 282_240


@pytest.mark.parametrize(
    ("activation", "share_cells"), [("leaky_relu", True), ("relu", False), ("prelu", True)]
)
def test_joint_evaluation_equals_the_formula(activation, share_cells):
    kwargs = dict(TINY, num_nodes=3, activation=activation, share_cells=share_cells)
    x = torch.rand(2, 1, 6, 7, dtype=torch.double)
    reference = results(make(**kwargs, reference=True).double(), x)
    assert_same(results(make(**kwargs).double(), x), reference)
    assert all(value is not None for value in reference.values())


def test_joint_evaluation_equals_the_formula_in_eval_mode():
    x = torch.rand(2, 1, 9, 11, dtype=torch.double)
    nets = [make(**TINY, reference=reference).double() for reference in (True, False)]
    for net in nets:
        net(x)
        net.eval()
    torch.testing.assert_close(nets[0](x), nets[1](x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("reference", [True, False])
def test_checkpointing_changes_nothing(reference):
    x = torch.rand(2, 1, 9, 11, dtype=torch.double)
    kept = results(make(**TINY, reference=reference).double(), x)
    assert_same(results(make(**TINY, reference=reference, with_cp=True).double(), x), kept, 1e-12)


@pytest.mark.parametrize("scope", ["network", "layer", "cell"])
def test_alpha_scopes(scope):
    net = make(**dict(TINY, num_cells=3), alpha_scope=scope)
    assert len(net.alpha) == {"network": 1, "layer": 3, "cell": 2 + 3 + 3}[scope]
    weights = {
        (n, k): net.cell_weights(n, k) for n in range(3) for k in range(net.trellis.levels[n + 1])
    }
    for (a, x), (b, y) in itertools.combinations(weights.items(), 2):
        same = scope == "network" or (scope == "layer" and a[0] == b[0])
        assert torch.equal(x, y) == same
    genotype = net.genotype()
    assert (len(set(genotype.cells)) == 1) == (scope == "network")


def test_impossible_moves_have_no_weight_and_no_gradient():
    net = make(**dict(TINY, num_cells=3))
    results(net, torch.rand(1, 1, 8, 8))
    rows = net.moves()
    assert [len(part) for part in net.trellis.split(rows)] == [1, 2, 3]
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
        net = HiNASSupernet(task, scale, 3, num_nodes=1, mid_channels=2)
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
    net = HiNASSupernet(**dict(TINY, num_cells=4), width_multipliers=[1, 2, 4, 8])
    assert net.genotype().widths == (2, 4, 8, 16)
    assert net(torch.rand(1, 1, 8, 8)).shape == (1, 1, 8, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(task="derain"), "'task': unknown value 'derain'; known: denoise, sr"),
        (dict(variant="sigmoid"), "'variant': unknown value 'sigmoid'"),
        (dict(alpha_scope="edge"), "alpha_scope: expected one of"),
        (dict(activation="sin"), "'activation': unknown value 'sin'"),
        (dict(width_multipliers=[1, 2, 4, 8]), "width_multipliers: 2 cells reach 1 to 3 levels"),
        (dict(width_multipliers=["1"]), r"'width_multipliers\[0\]': expected `float`"),
        (dict(mid_channels=2.5), "'mid_channels': expected `int`"),
        (dict(num_nodes=0), "num_nodes: expected an integer of at least 1, got 0"),
        (dict(num_cells=1.0), "num_cells: expected an integer of at least 1, got 1.0"),
        (dict(upscale_factor=4), "'upscale_factor': expected 1 for task='denoise'"),
        (dict(cost="seconds"), "expected .*params"),
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
    net = make(**dict(TINY, num_cells=3), share_cells=share_cells).double()
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


def copy_op(op, mixed):
    """Gives a derived operation the weights of a candidate, whose normalisations have none."""
    state = mixed.state_dict()
    missing, unexpected = op.load_state_dict(state, strict=False)
    assert not unexpected
    assert all("norm" in key and key.endswith(("weight", "bias")) for key in missing)


@pytest.mark.parametrize("alpha_scope", ["layer", "cell"])
@pytest.mark.parametrize(
    "kwargs",
    [
        dict(DENOISE, num_cells=3, num_nodes=3, mid_channels=4, activation="prelu"),
        dict(
            task="sr",
            upscale_factor=3,
            in_channels=1,
            num_cells=2,
            num_nodes=2,
            mid_channels=5,
            width_multipliers=[0.5, 1.4, 3],
            variant="official",
        ),
    ],
    ids=["denoise", "sr"],
)
def test_json_alone_builds_the_decided_network(tmp_path, kwargs, alpha_scope):
    """Every cell of the network computes what the decided supernet computes there.

    Projections and decoder are those of the paper's derived network, which the supernet has not.
    """
    net = make(**kwargs, alpha_scope=alpha_scope).double().eval()
    path = (1, 2, 1)[: kwargs["num_cells"]]
    with torch.no_grad():
        net.beta += 9 * net.trellis.path_moves(path)
    net.genotype().save(tmp_path / "genotype.json")
    network = HiNASNet(tmp_path / "genotype.json").double().eval()
    assert network.genotype == net.genotype()
    for name in ("task", "upscale_factor", "in_channels", "official"):
        assert getattr(network, name) == getattr(net, name)
    assert network.genotype.path == path
    assert len(network.cells) == len(net.cells) == len(path)
    assert len(set(path)) > 1
    for layer, (level, cell) in enumerate(zip(path, network.cells, strict=True)):
        mixed, weights = net.cells[layer][str(level)], net.cell_weights(layer, level)
        for index, ((name, source), op) in enumerate(
            zip(network.genotype.cells[layer], cell.ops, strict=True)
        ):
            edge = num_edges(index // 2) + source
            if name != "skip_connect":
                copy_op(op, mixed.edges[edge][HINAS_OPS.index(name)])
        width = network.genotype.widths[level]
        assert [p[0].out_channels for p in network.projections[layer]] == [width, width]
        inputs = torch.rand(2, 1, width, 8, 8, dtype=torch.double)
        with torch.no_grad():
            expected = mixed(*inputs, one_hot_cell(weights))
            torch.testing.assert_close(cell(*inputs), expected)


@pytest.mark.parametrize(
    ("multipliers", "widths", "task"),
    [
        ((0.5, 1, 2), (2, 5, 10), ("sr", 2, 3)),
        ((1.4, 2, 0.25), (7, 10, 1), ("denoise", 1, 1)),
        ((2,), (10,), ("sr", 2, 3)),
    ],
)
def test_multipliers_need_not_begin_with_one(multipliers, widths, task):
    net = make(
        seed=3,
        **dict(zip(("task", "upscale_factor", "in_channels"), task, strict=True)),
        num_cells=2,
        num_nodes=2,
        mid_channels=5,
        width_multipliers=multipliers,
    )
    size = 8 * task[1]
    x = torch.rand(2, task[2], 8, 8)
    assert net(x).shape == HiNASNet(net.genotype())(x).shape == (2, task[2], size, size)
    assert net.genotype().widths == widths
    for path in ((0, 0), (0, 1), (1, 0))[: 3 if len(multipliers) > 1 else 1]:
        HiNASNet(net.genotype().replace(path=path)).eval()(x)


def test_collapse_is_told():
    net = HiNASSupernet(**TINY)
    assert net.collapse() is None
    with torch.no_grad():
        net.alpha[1, :, HINAS_OPS.index("skip_connect")] = 1
    assert net.collapse() == "cell 1 has 4 skip connections on 4 edges"
