"""mmagic's inferencer serves our networks; gray images need ours."""

import cv2
import numpy as np
import pytest
import torch
from mmagic.apis.inferencers.image_super_resolution_inferencer import ImageSuperResolutionInferencer
from mmengine.config import Config

from mmsrnas.apis import init_generator
from mmsrnas.apis.inferencer import RestorationInferencer
from mmsrnas.models.dlsr import DLSRNet

CONFIG = "configs/dlsr/dlsr_tiny_x2_div2k.py"


def test_whole_image(paired_images, tmp_path, request):
    network = DLSRNet("DLSR_TINY").eval()
    state = {f"generator.{key}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "tiny.pth")
    config = Config.fromfile(request.config.rootpath / CONFIG)
    inferencer = ImageSuperResolutionInferencer(config, str(tmp_path / "tiny.pth"), "cpu")

    lr = str(paired_images / "LR_bicubic/X2/000x2.png")
    inferencer(img=lr, result_out_dir=str(tmp_path / "sr/000.png"))

    image = cv2.imread(lr)[..., ::-1].copy()
    with torch.no_grad():
        expected = network(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)[0]
    expected = (expected.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    found = cv2.imread(str(tmp_path / "sr/000.png"))[..., ::-1]
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("kind", ["gray", "color"])
def test_denoising_of_an_image_that_is_noisy_already(paired_images, tmp_path, request, kind):
    """Nothing clean is read and no noise is added; a gray image comes back unmirrored."""
    dataset = f"configs/_base_/datasets/bsd500_{kind}.py"
    channels = 1 if kind == "gray" else 3
    config = Config.fromfile(request.config.rootpath / dataset)
    generator = dict(
        type="mmsrnas.HiNASNet",
        genotype="HINAS_DENOISE",
        task="denoise",
        upscale_factor=1,
        in_channels=channels,
        mid_channels=4,
    )
    config.default_scope = "mmagic"
    config.model = dict(
        type="BaseEditModel",
        generator=generator,
        pixel_loss=dict(type="L1Loss"),
        data_preprocessor=dict(type="DataPreprocessor", mean=[0.0], std=[255.0]),
    )
    network = init_generator(config)
    state = {f"generator.{key}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "net.pth")
    noisy, out = str(paired_images / "HR/000.png"), tmp_path / "new/000.png"
    inferencer = RestorationInferencer(config, str(tmp_path / "net.pth"), "cpu")
    inferencer(img=noisy, result_out_dir=str(out))

    flag = cv2.IMREAD_GRAYSCALE if kind == "gray" else cv2.IMREAD_COLOR
    image = cv2.imread(noisy, flag).reshape(80, 96, channels)[..., ::-1].copy()
    with torch.no_grad():
        expected = network(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)[0]
    expected = (expected.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    found = cv2.imread(str(out), flag).reshape(80, 96, channels)[..., ::-1]
    assert np.abs(found.astype(int) - expected).max() <= 1
