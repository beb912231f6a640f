"""One image, one result: by ``Restorer``, by a test, and by mmagic's inferencers."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmagic.apis.inferencers.image_super_resolution_inferencer import ImageSuperResolutionInferencer
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmsrnas.apis.inference import Restorer, runtimes
from mmsrnas.apis.inference.runtime_hook import RuntimeHook
from mmsrnas.apis.inferencer import MMagicInferencer
from mmsrnas.models import DLSRNet, HiNASNet

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs/dlsr/dlsr_tiny_x2_div2k.py"


class Keep(Hook):
    """Keeps the last prediction of a test, which mmagic hands over in BGR."""

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        y = outputs[0].output.pred_img
        self.image = y.clamp(0, 255).round().byte().permute(1, 2, 0).numpy()


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    network = DLSRNet("DLSR_TINY").eval()
    state = {f"generator.{key}": value for key, value in network.state_dict().items()}
    meta = {"genotype": network.genotype.to_dict()}
    torch.save({"state_dict": state, "meta": meta}, tmp_path / "tiny.pth")
    return tmp_path / "tiny.pth"


@pytest.mark.parametrize("runtime", ["auto", "torch"])
def test_the_same_bytes_everywhere(paired_images, checkpoint, tmp_path, monkeypatch, runtime):
    """In the fastest runtime, which is the default, and in torch."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(runtimes, "FASTEST", ("onnxruntime",))
    lr = paired_images / "LR_bicubic/X2/000x2.png"
    Restorer(checkpoint, precision="fp32", runtime=runtime).file(lr, tmp_path / "ours.png")
    expected = cv2.imread(str(tmp_path / "ours.png"))
    assert expected.std() > 0

    cfg = Config.fromfile(CONFIG)
    loader = cfg.test_dataloader[0]
    loader.num_workers = 0
    loader.dataset.update(data_root=str(paired_images))
    loader.dataset.index_range = (0, 1)
    cfg.update(test_dataloader=loader, test_evaluator=cfg.test_evaluator[0])
    for key in ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler"):
        cfg.pop(key)
    cfg.update(val_dataloader=None, val_cfg=None, val_evaluator=None)
    cfg.update(work_dir=str(tmp_path / "run"), load_from=str(checkpoint), log_level="ERROR")
    runner = Runner.from_cfg(cfg)
    keep = Keep()
    runner.register_hook(keep)
    if runtime == "auto":
        runner.register_hook(RuntimeHook(runtime))
    runner.test()
    assert np.array_equal(keep.image, expected)

    for number, options in enumerate(({}, {"model_setting": 0}, {"config_name": CONFIG.stem})):
        ours = MMagicInferencer(
            "dlsr",
            model_ckpt=str(checkpoint),
            precision="fp32",
            runtime=runtime,
            **options,
        )
        result, image = ours.infer(str(lr), result_out_dir=str(tmp_path / f"{number}/mmagic.png"))
        written = tmp_path / f"{number}/mmagic.png"
        assert written.read_bytes() == (tmp_path / "ours.png").read_bytes()
        assert np.array_equal(image, expected)
        assert result["infer_results"].output.pred_img.shape == (3, 80, 96)

    if runtime == "auto":
        fastest = "torch" if torch.cuda.is_available() else "onnxruntime"
        assert ours.restorer.model.runtime == fastest
        return
    device = str(ours.restorer.device)
    stock = ImageSuperResolutionInferencer(Config.fromfile(CONFIG), str(checkpoint), device)
    stock(img=str(lr), result_out_dir=str(tmp_path / "stock.png"))
    assert np.array_equal(cv2.imread(str(tmp_path / "stock.png")), expected)


def test_denoiser_of_gray_images(paired_images, tmp_path):
    network = HiNASNet("HINAS_DENOISE", "denoise", 1, 1, 4).eval()
    meta = {"genotype": network.genotype.to_dict()}
    torch.save({"state_dict": network.state_dict(), "meta": meta}, tmp_path / "net.pth")
    noisy = cv2.imread(str(paired_images / "HR/000.png"), cv2.IMREAD_GRAYSCALE)
    ours = MMagicInferencer("hinas", model_ckpt=str(tmp_path / "net.pth"), runtime="torch")
    _, image = ours.infer(noisy)
    assert image.shape == noisy.shape
    assert np.array_equal(image, Restorer(network, device=ours.restorer.device)(noisy))


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="model_ckpt: 'dlsr' needs a checkpoint"):
        MMagicInferencer("dlsr")
    with pytest.raises(ValueError, match=r"config_name: 'dlsr' has dlsr_.*, not 'edsr'"):
        MMagicInferencer("dlsr", config_name="edsr", model_ckpt="x.pth")
    with pytest.raises(ValueError, match="is not supported"):
        MMagicInferencer("no_such_model")
