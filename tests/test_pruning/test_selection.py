import pytest
import torch
import torch.nn.functional as F

from mmsrnas.genotypes import DRCGenotype, GenotypeError
from mmsrnas.models import DRNNet
from mmsrnas.pruning import ChannelSelector

FULL = (4, 8, 16, 16)
TINY = dict(upscale_factor=4, num_blocks=0, mid_channels=4)
FULL_WIDTHS = (8, 16, 32, 32, 32, 32, 32, 32)


def test_greedy_steps_equal_the_released_code(reference):
    """Scores, masks, weights and biases of three steps at a site of each kind."""
    reference = reference("selection_x4")
    steps = reference.dump["steps"]
    batches = [dict(inputs=lrs[0] / 255, lrs=lrs, hr=hr) for lrs, hr in reference.dump["batches"]]
    widths = [
        3 if any(s["layer_index"] == i for s in steps) else w for i, w in enumerate(FULL_WIDTHS)
    ]
    selector = ChannelSelector(
        reference.net,
        DRCGenotype("DRNNet", FULL_WIDTHS, tuple(widths)),
        batches,
        lambda batch: reference.loss(batch["lrs"], batch["hr"]),
    )
    reference.net.requires_grad_(False).eval()
    for index in (0, 3, 4):
        expected = [step for step in steps if step["layer_index"] == index]
        site = selector.sites[index]
        conv = reference.net.get_submodule(site.consumer)
        seen = []

        def note(score, mask, conv=conv, seen=seen):
            bias = None if conv.bias is None else conv.bias.detach().clone()
            seen.append((score, mask, conv.weight.detach().clone(), bias))

        selector.select_greedily(site, 3, note)
        assert len(seen) == len(expected) == 3
        for (score, mask, weight, bias), step in zip(seen, expected, strict=True):
            free = step["grad_norm"] > 0
            torch.testing.assert_close(score[free], step["grad_norm"][free], rtol=1e-9, atol=0)
            torch.testing.assert_close(mask.double(), step["mask"], rtol=0, atol=0)
            torch.testing.assert_close(weight, step["pruned_weight"], rtol=0, atol=1e-12)
            if step["bias"] is not None:
                torch.testing.assert_close(bias, step["bias"], rtol=0, atol=1e-12)


def tiny_job(criterion="dual_regression", **kwargs):
    torch.manual_seed(0)
    net = DRNNet(2, 1, 8).double()
    teacher = torch.rand(2, 2, 3, 16, 16, dtype=torch.double)
    batches = [dict(inputs=torch.rand(2, 3, 8, 8).double(), hr=hr) for hr in teacher]
    genotype = DRCGenotype("DRNNet", (8, 16, 16), (4, 6, 8))
    return net, ChannelSelector(
        net,
        genotype,
        batches,
        lambda batch: 255 * F.l1_loss(net(batch["inputs"]), batch["hr"]),
        criterion=criterion,
        **kwargs,
    )


def test_memory_changes_nothing():
    results = []
    for cache in (True, False):
        net, selector = tiny_job(cache=cache)
        results.append((selector.run(), net.state_dict()))
    (kept, state), (expected, reference) = results
    assert all(torch.equal(a, b) for a, b in zip(kept, expected, strict=True))
    for name in state:
        torch.testing.assert_close(state[name], reference[name], rtol=0, atol=1e-12)


def test_several_channels_per_step_keep_the_number():
    _, selector = tiny_job(channels_per_step=4)
    assert [len(kept) for kept in selector.run()] == [4, 6, 8]


def test_l1_keeps_the_largest_kernels_and_random_repeats():
    net, selector = tiny_job("l1")
    weight = net.up_blocks[0].reduce.weight.detach().clone()
    kept = selector.run()[2]
    norms = weight.abs().sum(dim=(0, 2, 3))
    assert set(kept.tolist()) == set(norms.argsort()[-8:].tolist())
    dropped = sorted(set(range(16)) - set(kept.tolist()))
    assert (net.up_blocks[0].reduce.weight[:, dropped] == 0).all()
    torch.testing.assert_close(net.up_blocks[0].reduce.weight[:, kept], weight[:, kept])
    draws = [tiny_job("random", seed=seed)[1].run()[1].tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_what_was_trainable_is_so_again():
    net, selector = tiny_job()
    before = {name: p.requires_grad for name, p in net.named_parameters()}
    selector.run()
    assert {name: p.requires_grad for name, p in net.named_parameters()} == before
    assert net.training


def test_wrong_arguments_are_refused():
    net = DRNNet(2, 1, 8)
    genotype = DRCGenotype("DRNNet", (8, 16, 16), (4, 6, 8))
    with pytest.raises(ValueError, match="needs batches and an objective"):
        ChannelSelector(net, genotype)
    with pytest.raises(ValueError, match="criterion: expected one of"):
        ChannelSelector(net, genotype, criterion="l2")
    with pytest.raises(GenotypeError, match="site 0 has 4 channels, in this DRNNet it has 8"):
        ChannelSelector(net, DRCGenotype("DRNNet", (4, 8, 8), (1, 1, 1)), criterion="l1")


def test_site_that_keeps_everything_is_left_alone():
    net, selector = tiny_job()
    selector.genotype = DRCGenotype("DRNNet", (8, 16, 16), (8, 15, 16))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    kept = selector.run()
    assert [len(channels) for channels in kept] == [8, 15, 16]
    changed = {name for name, tensor in net.state_dict().items() if (tensor != before[name]).any()}
    assert changed == {f"up_blocks.0.blocks.0.conv2.{leaf}" for leaf in ("weight", "bias")}
