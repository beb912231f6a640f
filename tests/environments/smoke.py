"""Runs a search from end to end in the environment of this Python.

Searches with a tiny supernet, resumes the search from its middle, derives, trains, tests, and
exports where onnx is installed; every step is a tool in a new process.  The images are made here.
Last it counts the channels that can be pruned, which is read from operators of torch.
Exit code 0 means that every step worked and that the resumed search ended with the weights of the
uninterrupted one.
"""

import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import cv2
import mmengine.logging  # noqa: F401  (whose log history is in the checkpoints)
import numpy as np
import torch

import mmsrnas  # noqa: F401  (which lets torch load them)
from mmsrnas.models import DRNNet
from mmsrnas.pruning import find_sites

ROOT = Path(__file__).parents[2]
SEARCH = ROOT / "configs/demo/dlsr_search_tiny_x2_photographs.py"
TRAIN = ROOT / "configs/demo/dlsr_tiny_x2_photographs.py"
SHORT = [
    "train_cfg.max_iters=4",
    "train_dataloader.batch_size=2",
    "default_hooks.logger.interval=1",
    "default_hooks.checkpoint.interval=2",
]
SHORT_SEARCH = [
    *SHORT,
    "default_hooks.arch_optimizer.warmup_iters=1",
    "default_hooks.arch_optimizer.dataloader.batch_size=2",
]


def main() -> None:
    """Runs all steps in a temporary folder."""
    packages = ("numpy", "torch", "torchvision", "mmcv-lite", "mmagic", "opencv-python")
    print(sys.version.split()[0], *(f"{name} {version(name)}" for name in packages), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_images()
        tool("train.py", SEARCH, "--work-dir", "search", "--cfg-options", *SHORT_SEARCH)
        middle = Path("search/iter_2.pth")
        resume = ["--work-dir", "resumed", "--resume", middle]
        tool("train.py", SEARCH, *resume, "--cfg-options", *SHORT_SEARCH)
        compare("search/iter_4.pth", "resumed/iter_4.pth")
        tool("derive.py", "resumed", "--out", "genotype.json")
        genotype = "model.generator.genotype=genotype.json"
        tool("train.py", TRAIN, "--work-dir", "train", "--cfg-options", genotype, *SHORT)
        checkpoint = "train/iter_4.pth"
        result = ["--out", "metrics.json", "--cfg-options", genotype]
        tool("test.py", TRAIN, checkpoint, *result)
        metrics = json.loads(Path("metrics.json").read_text())
        assert all(np.isfinite(value) for value in metrics.values()), metrics
        if find_spec("onnxruntime"):
            tool("export.py", checkpoint, "net.onnx")
    sites = len(find_sites(DRNNet(upscale_factor=2, num_blocks=1, mid_channels=8)))
    assert sites == 3, f"{sites} sites: an operator has no rule with this torch"
    print("smoke: all steps passed")


def write_images() -> None:
    """Writes pairs of scale 2 in the layout of ``tools/demo.py``."""
    generator = np.random.default_rng(0)
    for part in ("weights", "architecture", "held_out"):
        sub, suffix = ("", "x2") if part == "held_out" else ("_sub", "")
        for name in "abcd":
            hr = cv2.GaussianBlur(generator.integers(0, 256, (96, 96, 3), np.uint8), (0, 0), 1.5)
            lr = cv2.resize(hr, (48, 48), interpolation=cv2.INTER_AREA)
            files = {f"HR{sub}/{name}.png": hr, f"LR_bicubic/X2{sub}/{name}{suffix}.png": lr}
            for file, image in files.items():
                path = Path("data/demo", part, file)
                path.parent.mkdir(parents=True, exist_ok=True)
                assert cv2.imwrite(str(path), image)


def tool(name: str, *args: object) -> None:
    """Runs a tool; shows its output only when it fails."""
    command = [sys.executable, str(ROOT / "tools" / name), *map(str, args)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(f"{process.stdout}\n{process.stderr}\nsmoke: {name} failed")
    print(f"smoke: {name} {args[0] if isinstance(args[0], str) else args[0].name}", flush=True)


def compare(left: str, right: str) -> None:
    """Compares the weights of two checkpoints bit by bit."""
    states = [torch.load(path, map_location="cpu")["state_dict"] for path in (left, right)]
    different = [key for key in states[0] if not torch.equal(states[0][key], states[1][key])]
    if different:
        raise SystemExit(f"smoke: {left} and {right} differ: {different[:5]}")


if __name__ == "__main__":
    main()
