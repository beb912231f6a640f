"""A pruned network of mmagic runs in every tool from its checkpoint."""

from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config

from mmsrnas.apis import init_generator, prune
from mmsrnas.apis.inference import Restorer
from mmsrnas.pruning import PrunedNet
from mmsrnas.registry import MODELS

BASE = Path(__file__).parents[2] / "configs/_base_/datasets/sr_test_x2.py"
EDSR = dict(type="EDSRNet", in_channels=3, out_channels=3, mid_channels=8, num_blocks=1)
CONFIG = """
_base_ = "{base}"

default_scope = "mmagic"
model = dict(
    type="BaseEditModel",
    generator=dict(type="mmsrnas.PrunedNet"),
    pixel_loss=dict(type="L1Loss"),
    data_preprocessor=dict(type="DataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3),
)
test_dataloader = [dict(_base_.test_dataloader[0], num_workers=0, persistent_workers=False)]
test_dataloader[0]["dataset"]["data_root"] = "{folder}"
test_evaluator = [_base_.test_evaluator[0]]
"""


@pytest.fixture
def pruned(tmp_path, paired_images):
    """Config that names the type alone, checkpoint, and the network."""
    full = Config(dict(_base_=[], default_scope="mmagic"))
    full.model = dict(
        type="BaseEditModel", generator=EDSR | dict(upscale_factor=2), pixel_loss={"type": "L1Loss"}
    )
    editor = MODELS.build(full.model)
    torch.save({"state_dict": editor.state_dict()}, tmp_path / "full.pth")
    result = prune(full, tmp_path / "full.pth", tmp_path, uniform=0.9, criterion="l1")
    result.genotype_file.unlink()
    network = PrunedNet(result.genotype).eval()
    weights = torch.load(result.checkpoint, weights_only=True)["state_dict"]
    network.load_state_dict({k.removeprefix("generator."): w for k, w in weights.items()})
    config = tmp_path / "pruned.py"
    config.write_text(CONFIG.format(base=BASE, folder=paired_images))
    return config, result.checkpoint, network


def test_every_tool_takes_the_genotype_from_the_checkpoint(
    pruned, run_tool, tmp_path, paired_images
):
    config, checkpoint, network = pruned
    params = f"{sum(p.numel() for p in network.parameters()):,}"
    image, flops = torch.rand(1, 3, 16, 20), "analysis_tools/get_flops.py"
    for source in (config, checkpoint):  # alone, a checkpoint holds its config, too
        loaded = init_generator(source, checkpoint)
        assert loaded.genotype == network.genotype
        assert torch.equal(loaded(image), network(image))
    assert "net.onnx: onnx, " in run_tool("export.py", checkpoint, tmp_path / "net.onnx")
    assert params in run_tool(flops, config, checkpoint, "--hr=64x64")
    assert params in run_tool(flops, checkpoint, "--hr=64x64")
    run_tool(
        "analysis_tools/benchmark_latency.py",
        checkpoint,
        "--target=torch:cpu:1:32x32",
        "--samples=2",
        "--max-spread=9",
    )
    models = (f"by_type={config},{checkpoint}", f"alone={checkpoint}")
    options = ("--out", tmp_path / "out", "--no-latency", "--hr=64x64")
    printed = run_tool("compare.py", config, *models, *options)
    assert printed.count(f" {params} |") == 2

    out = tmp_path / "metrics.json"
    run_tool("test.py", config, checkpoint, "--out", out, "--work-dir", tmp_path / "test")
    assert "Set5/PSNR" in out.read_text()
    lr = str(paired_images / "LR_bicubic/X2/000x2.png")
    Restorer(checkpoint, precision="fp32").file(lr, tmp_path / "sr.png")
    pixels = torch.from_numpy(cv2.imread(lr)[..., ::-1].copy()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = network(pixels)[0].clamp(0, 1).mul(255).round().permute(1, 2, 0).numpy()
    found = cv2.imread(str(tmp_path / "sr.png"))[..., ::-1].astype(int)
    assert abs(found - expected).max() <= 1
