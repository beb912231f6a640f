"""Uniform paths: the loss, and what is drawn."""

import pytest
import torch
import torch.nn.functional as F
from mmagic.structures import DataSample

from mmsrnas.genotypes import DLSR_OPS
from mmsrnas.registry import MODELS

SUPERNET = dict(
    type="mmsrnas.SharedSupernet",
    space=dict(type="mmsrnas.DLSRSpace", num_cells=2, mid_channels=4),
    network=dict(img_range=1.0),
)


def build(**kwargs):
    torch.manual_seed(0)
    cfg = dict(type="mmsrnas.PathEditor", generator=SUPERNET, pixel_loss=dict(type="L1Loss"))
    preprocessor = dict(type="mmagic.DataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3)
    return MODELS.build(cfg | dict(data_preprocessor=preprocessor) | kwargs)


def test_loss_is_the_mean_over_the_paths():
    editor, again = build(num_paths=2), build(num_paths=2)
    hr = torch.rand(2, 3, 32, 32)
    lr, samples = F.avg_pool2d(hr, 2), DataSample.stack([DataSample(gt_img=image) for image in hr])
    loss = editor(lr, samples, mode="loss")["loss"]
    paths = again.draw()
    expected = [F.l1_loss(again.generator(lr, path), hr) for path in paths]
    torch.testing.assert_close(loss, torch.stack(expected).mean())
    assert len(set(paths)) == 2 and editor.steps == again.steps == 1


def test_each_operation_is_drawn_once_in_nine_paths():
    editor = build(num_paths=9)
    first, second = editor.draw(), editor.draw()
    for paths in (first, second):
        for place in zip(*(path.ops for path in paths), strict=True):
            assert sorted(place) == sorted(DLSR_OPS)
    assert first != second
    resumed = build(num_paths=9)
    resumed.steps += 1
    assert resumed.draw() == second != build(num_paths=9, seed=1).draw()


def test_what_cannot_be_trained_so_is_refused():
    with pytest.raises(TypeError, match="DLSRNet has no `space`"):
        build(generator=dict(type="mmsrnas.DLSRNet"))
    with pytest.raises(ValueError, match="num_paths >= 1"):
        build(num_paths=0)
    with pytest.raises(TypeError, match=r"DLSRSpace has no largest .*PathEditor"):
        build(type="mmsrnas.SandwichEditor")
