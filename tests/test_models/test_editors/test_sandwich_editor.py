import copy

import pytest
import torch
import torch.nn.functional as F
from mmagic.structures import DataSample

from mmsrnas.models.elastic.ops import KERNEL_SIZES
from mmsrnas.registry import MODELS

SUPERNET = dict(
    type="mmsrnas.ElasticSupernet", num_cells=(1, 2), mid_channels=(4, 8), cells_per_stage=1
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
    editor = build(num_random=3, distillation=0.25)
    lr, samples = batch()
    largest, *others = drawn(copy.deepcopy(editor))
    assert largest.widths == (8, 8) and others[0].widths == (4,) and len(others) == 4
    losses = editor(lr, samples, mode="loss")
    net, hr = editor.generator, samples.gt_img
    teacher = net(lr, largest)
    expected = [
        0.75 * F.l1_loss(net(lr, g), hr) + 0.25 * F.l1_loss(net(lr, g), teacher.detach())
        for g in others
    ]
    torch.testing.assert_close(losses["loss_largest"], F.l1_loss(teacher, hr) / 5)
    torch.testing.assert_close(losses["loss_smallest"], expected[0] / 5)
    torch.testing.assert_close(losses["loss_random"], torch.stack(expected[1:]).sum() / 5)


def test_teacher_learns_from_the_ground_truth_alone():
    """Blocks that the students do not have get the gradient of the largest network's loss."""
    editor = build(num_random=0, distillation=1.0)
    lr, samples = batch()
    largest, _ = drawn(copy.deepcopy(editor))
    alone = copy.deepcopy(editor)
    sum(editor(lr, samples, mode="loss").values()).backward()
    (F.l1_loss(alone.generator(lr, largest), samples.gt_img) / 2).backward()
    size = str(KERNEL_SIZES[largest.ops[1]])
    ours, theirs = (e.generator.cells[1][size].weight.grad for e in (editor, alone))
    torch.testing.assert_close(ours, theirs)
    assert ours.abs().sum() > 0


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
    for wrong in (dict(num_random=-1), dict(distillation=1.5)):
        with pytest.raises(ValueError, match="num_random >= 0 and distillation from 0 to 1"):
            build(**wrong)
