import torch

from mmsrnas.genotypes import DRCGenotype
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
