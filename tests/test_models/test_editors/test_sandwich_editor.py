import copy

import pytest
import torch
import torch.nn.functional as F
from mmagic.structures import DataSample

from mmsrnas.registry import MODELS

SUPERNET = dict(
    type="mmsrnas.ElasticSupernet",
    num_cells=(1, 2),
    mid_channels=(4, 8),
    ops=("conv_3x3", "conv_5x5"),
    activations=("silu", "gelu"),
    cells_per_stage=1,
)


def build(**kwargs):
    torch.manual_seed(0)
    editor = MODELS.build(
        dict(
            type="mmsrnas.SandwichEditor",
            generator=SUPERNET,
            pixel_loss=dict(type="L1Loss"),
            data_preprocessor=dict(type="mmagic.DataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3),
        )
        | kwargs
    )
    torch.nn.init.normal_(editor.generator.head.weight)  # which starts at zero
    return editor


def batch():
    torch.manual_seed(1)
    hr = torch.rand(2, 3, 12, 16)
    return F.avg_pool2d(hr, 2), DataSample.stack([DataSample(gt_img=image) for image in hr])


def drawn(editor):
    """The networks of the next step."""
    seen = []
    handle = editor.generator.register_forward_pre_hook(lambda net, args: seen.append(args[1]))
    editor(*batch(), mode="loss")
    handle.remove()
    return seen


def test_loss_is_the_mean_over_largest_smallest_and_random_networks():
    editor = build(num_random=3)
    lr, samples = batch()
    networks = drawn(copy.deepcopy(editor))
    assert networks[0].widths == (8, 8) and networks[1].widths == (4,) and len(networks) == 5
    expected = [F.l1_loss(editor.generator(lr, g), samples.gt_img) for g in networks]
    losses = editor(lr, samples, mode="loss")
    torch.testing.assert_close(losses["loss"], torch.stack(expected).mean())


def test_draws_depend_on_step_and_seed_alone():
    editor = build()
    first = [drawn(editor) for _ in range(4)]
    assert len({tuple(networks) for networks in first}) == 4
    resumed = build()
    state = build()
    for _ in range(2):
        drawn(state)
    resumed.load_state_dict(state.state_dict())
    torch.rand(7)
    assert [drawn(resumed) for _ in range(2)] == first[2:]
    assert drawn(build(seed=1)) != first[0]


def test_what_cannot_be_trained_so_is_refused():
    with pytest.raises(TypeError, match="ElasticNet has no `space`"):
        build(generator=dict(type="mmsrnas.ElasticNet", genotype="ELASTIC_LARGE"))
    with pytest.raises(ValueError, match="num_random >= 0, got -1"):
        build(num_random=-1)
