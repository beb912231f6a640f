"""mmagic's own inferencer serves our networks; nothing of ours is needed."""

import cv2
import numpy as np
import torch
from mmagic.apis.inferencers.image_super_resolution_inferencer import ImageSuperResolutionInferencer
from mmengine.config import Config

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
