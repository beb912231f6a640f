import pytest
import torch

from mmsrnas.datasets import MixedImageDataset
from mmsrnas.registry import MODELS

LOAD = [
    dict(type=f"mmagic.{t}", key=k, channel_order="rgb")
    for t, k in (("LoadImageFromFile", "img"), ("LoadImageFromFile", "gt"))
]


def configs(root, crop=16):
    pairs = dict(
        type="mmsrnas.PairedImageDataset",
        scale=2,
        data_root=str(root),
        data_prefix=dict(img="LR_bicubic/X2", gt="HR"),
        filename_tmpl=dict(img="{}x2", gt="{}"),
        pipeline=[
            *LOAD,
            dict(type="mmagic.PairedRandomCrop", gt_patch_size=32),
            dict(type="mmagic.PackInputs"),
        ],
    )
    alone = dict(
        type="mmagic.BasicImageDataset",
        data_root=str(root),
        data_prefix=dict(img="HR"),
        pipeline=[
            LOAD[0],
            dict(type="mmagic.Crop", keys=["img"], crop_size=(crop, crop), random_crop=True),
            dict(type="mmagic.PackInputs"),
        ],
    )
    return [pairs, alone]


def test_share_placeholder_and_batch_for_the_editor(paired_images):
    dataset = MixedImageDataset(configs(paired_images), scale=2, unpaired_share=0.4)
    assert len(dataset) == 6 + 4
    items = [dataset[i] for i in range(len(dataset))]
    assert [item["data_samples"].unpaired for item in items] == 6 * [False] + 4 * [True]
    assert all(item["inputs"].shape == (3, 16, 16) for item in items)
    assert all((item["data_samples"].gt_img == 0).all() for item in items[6:])
    assert all(item["data_samples"].gt_img.float().mean() > 1 for item in items[:6])
    editor = MODELS.build(
        dict(
            type="mmsrnas.DualRegressionEditor",
            generator=dict(type="mmsrnas.DRNNet", upscale_factor=2, num_blocks=1, mid_channels=8),
            pixel_loss=dict(type="L1Loss"),
            pyramid=True,
            data_preprocessor=dict(type="mmagic.DataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3),
        )
    )
    batch = dict(
        inputs=[items[i]["inputs"] for i in (0, 7)],
        data_samples=[items[i]["data_samples"] for i in (0, 7)],
    )
    data = editor.data_preprocessor(batch, True)
    losses = editor(**data, mode="loss")
    lr, hr = data["inputs"][:1], data["data_samples"].gt_img[:1]
    low, high = editor.generator(lr, pyramid=True)
    expected = (torch.nn.functional.l1_loss(low, lr) + torch.nn.functional.l1_loss(high, hr)) / 2
    torch.testing.assert_close(losses["loss_primal"], expected)


def test_wrong_arguments_are_refused(paired_images):
    pairs, alone = configs(paired_images)
    with pytest.raises(ValueError, match="expected pairs and LR images, got 1"):
        MixedImageDataset([pairs], 2)
    with pytest.raises(ValueError, match="unpaired_share: expected 0 < share < 1"):
        MixedImageDataset([pairs, alone], 2, 1.5)
    with pytest.raises(ValueError, match="'crop_size' must be patch_size / 2"):
        MixedImageDataset(configs(paired_images, crop=8), 2)
