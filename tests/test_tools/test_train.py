"""mmagic's own EDSR config through our tools, and DLSRNet through mmagic's own tool."""

import importlib.util
import json
import sys
import time
from collections import OrderedDict
from pathlib import Path

import cv2
import mmagic
import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import MMLogger
from mmengine.runner import CheckpointLoader

from mmsrnas import __main__ as command

ROOT = Path(__file__).parents[2]
MIM = Path(mmagic.__file__).parent / ".mim"
EDSR = MIM / "configs/edsr/edsr_x2c64b16_1xb16-300k_div2k.py"
TINY = ("model.generator.num_blocks=1", "model.generator.mid_channels=8")
SHORT = (
    "train_cfg.val_interval=4",
    "train_dataloader.num_workers=0",
    "train_dataloader.batch_size=2",
    "train_dataloader.dataset.pipeline.3.gt_patch_size=32",
    "val_dataloader.num_workers=0",
    "default_hooks.checkpoint.interval=4",
    "default_hooks.checkpoint.save_best=PSNR",
)


def load_tool(name):
    spec = importlib.util.spec_from_file_location(f"tool_{name}", ROOT / f"tools/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tiny images in the folders that mmagic's EDSR config names."""
    root = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    for hr, lr in (
        ("DIV2K/DIV2K_train_HR_sub", "DIV2K/DIV2K_train_LR_bicubic/X2_sub"),
        ("Set5/GTmod12", "Set5/LRbicx2"),
    ):
        for name in (hr, lr):
            (root / "data" / name).mkdir(parents=True)
        for i in range(2):
            image = cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (60, 48))
            cv2.imwrite(str(root / f"data/{hr}/{i}.png"), image)
            cv2.imwrite(str(root / f"data/{lr}/{i}.png"), image[::2, ::2])
    names = "".join(f"{i}.png (48,60,3)\n" for i in range(2))
    (root / "data/DIV2K/meta_info_DIV2K800sub_GT.txt").write_text(names)
    (root / "edsr.py").write_text(
        f"_base_ = {str(EDSR)!r}\n"
        "test_dataloader = [{{_base_.val_dataloader}}]\n"
        "test_evaluator = [{{_base_.val_evaluator}}]\n"
    )
    return root


def run_tool(name, folder, *arguments):
    """Runs a tool in the folder and returns what it logged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", [name, *arguments])
        # mmengine names loggers by the second, and one that it knows opens no new file.
        patch.setattr(MMLogger, "_instance_dict", OrderedDict())
        before = set(folder.rglob("*.log"))
        load_tool(name).main()
        (log,) = set(folder.rglob("*.log")) - before
        return log.read_text()


@pytest.fixture(scope="module")
def trained(folder):
    """Log of four iterations in mixed precision, and of two more after a resume."""
    train = ("edsr.py", "--work-dir", "work_dirs/edsr", "--cfg-options", *TINY, *SHORT)
    flags = ("--amp", "--pictures", "--log-to", "tensorboard")
    first = run_tool("train", folder, *train, "train_cfg.max_iters=4", *flags)
    time.sleep(1)  # mmengine names the folders of a run by the second
    return first, run_tool("train", folder, *train, "train_cfg.max_iters=6", "--resume")


def test_mmagic_config_trains_in_mixed_precision_and_resumes(trained, folder):
    first, second = trained
    assert "AutocastOptimWrapper" in first or torch.cuda.is_available()
    assert "resumed epoch: 0, iter: 4" in second
    assert (folder / "work_dirs/edsr/iter_4.pth").is_file()
    assert list(folder.glob("work_dirs/edsr/*/vis_data/events.out.tfevents.*"))
    picture = cv2.imread(str(next(folder.glob("work_dirs/edsr/*/vis_data/vis_image/*.png"))))
    assert picture.shape[1] == 60 + 30 + 60  # truth, input and output


def test_checkpoint_is_tested(trained, folder):
    test = ("edsr.py", "work_dirs/edsr/iter_4.pth", "--out", "metrics.json", "--work-dir", "tested")
    options = ("--cfg-options", "test_dataloader.0.num_workers=0", *TINY)
    log = run_tool("test", folder, *test, *options)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert f"PSNR: {metrics['PSNR']:.4f}" in log
    assert f"{metrics['PSNR']:.4f} PSNR at 4 iter" in trained[0]


def test_dlsr_trains_in_mmagic_own_tool(folder):
    (folder / "dlsr.py").write_text(
        f"_base_ = {str(EDSR)!r}\n"
        "model = dict(generator=dict(_delete_=True, type='mmsrnas.DLSRNet', genotype='DLSR',\n"
        "                            upscale_factor=2, mid_channels=8))\n"
    )
    options = ["--work-dir", "work_dirs/dlsr", "--cfg-options", *SHORT, "train_cfg.max_iters=4"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["mmsrnas", str(MIM / "tools/train.py"), "dlsr.py", *options])
        patch.setattr(sys, "path", list(sys.path))
        patch.setitem(sys.modules, "__main__", sys.modules["__main__"])
        patch.setattr(MMLogger, "_instance_dict", OrderedDict())
        command.main()
    checkpoint = str(folder / "work_dirs/dlsr/iter_4.pth")
    weights = CheckpointLoader.load_checkpoint(checkpoint, map_location="cpu")["state_dict"]
    assert any(key.startswith("generator.") for key in weights)


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("train", ["absent.py"], "config file absent.py does not exist"),
        ("test", ["absent.py", "x.pth"], "config file absent.py does not exist"),
        ("test", ["edsr.py", "absent.pth"], "checkpoint absent.pth does not exist"),
        ("test", ["edsr.py", "edsr.py", "--out", "x.txt"], "must end in .json"),
    ],
)
def test_wrong_paths_end_with_a_message(folder, monkeypatch, capsys, tool, arguments, message):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [tool, *arguments])
    with pytest.raises(SystemExit):
        load_tool(tool).main()
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resume", "--work-dir", "absent"], "no earlier run in absent"),
        (["--resume", "--work-dir", "data"], "no whole checkpoint in 'data'.*--resume auto"),
        (["--resume", "absent.pth"], "checkpoint absent.pth does not exist"),
        (["--auto-scale-lr"], "base_batch_size"),
        (["--log-to", "wandb"], "--log-to wandb: it is not installed: pip install wandb"),
        (["--amp", "--cfg-options", "optim_wrapper.type=ApexOptimWrapper"], "ApexOptimWrapper"),
    ],
)
def test_impossible_options_end_with_a_message(folder, monkeypatch, options, message):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["train", "edsr.py", *options])
    with pytest.raises(SystemExit, match=message):
        load_tool("train").main()


def test_resume_auto_needs_no_thought(tmp_path):
    """In a requeued job: the weights to start from count until there is a checkpoint."""
    resume = load_tool("train").resume
    cfg = ConfigDict(work_dir=str(tmp_path / "run"), load_from="weights.pth", resume=False)
    resume(cfg, "auto")
    assert (cfg.resume, cfg.load_from) == (False, "weights.pth")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/iter_4.pth").write_bytes(b"PK")  # damaged
    resume(cfg, "auto")
    assert (cfg.resume, cfg.load_from) == (False, "weights.pth")
    checkpoint = tmp_path / "run/iter_2.pth"
    torch.save({"state_dict": {"weight": torch.zeros(1)}, "meta": {"iter": 2}}, checkpoint)
    resume(cfg, "auto")
    assert (cfg.resume, cfg.load_from) == (True, str(checkpoint))


def test_amp_reaches_every_wrapper(monkeypatch):
    train = load_tool("train")
    single = ConfigDict(type="OptimWrapper", optimizer=dict(type="Adam", lr=1.0))
    several = ConfigDict(
        constructor="MultiOptimWrapperConstructor",
        generator=dict(type="OptimWrapper", optimizer=dict(type="Adam")),
        discriminator=dict(type="OptimWrapper", optimizer=dict(type="Adam")),
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    train.enable_amp(single)
    train.enable_amp(several)
    for wrapper in (single, several.generator, several.discriminator):
        assert wrapper.type == "AmpOptimWrapper" and wrapper.loss_scale == "dynamic"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    train.enable_amp(single)
    assert single == dict(type="mmsrnas.AutocastOptimWrapper", optimizer=dict(type="Adam", lr=1.0))
