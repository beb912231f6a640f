"""Commands of the pages run as they stand there, made short by options that are added.

Each needs what those before it have left in the folder. That the others exist, with their options,
is read by ``test_scripts.py``.
"""

import re
import shlex
import sys
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from images import write_paired_images
from mmengine.logging import MMLogger

from mmsrnas import __main__ as command
from mmsrnas.models import DLSRNet, HiNASNet

ROOT = Path(__file__).parents[1]
DATA = (
    "train_dataloader.dataset.patch_size=32 train_dataloader.dataset.index_range=[0,4] "
    "val_dataloader.dataset.index_range=[0,1]"
)
TRAIN = (
    f"{DATA} train_cfg.max_iters=2 train_cfg.val_interval=2 default_hooks.checkpoint.interval=2 "
    "model.generator.mid_channels=8 train_dataloader.batch_size=2 train_dataloader.num_workers=0 "
    "val_dataloader.num_workers=0"
)
ARCH = "default_hooks.arch_optimizer.dataloader"
SEARCH = (
    f"{TRAIN} {ARCH}.batch_size=2 {ARCH}.num_workers=0 {ARCH}.dataset.patch_size=32 "
    f"{ARCH}.dataset.index_range=[4,6] default_hooks.arch_optimizer.warmup_iters=0"
)
TEST = "model.generator.mid_channels=8 test_dataloader.0.num_workers=0"
# Page, beginnings of lines, what is added: all of these lines are run.
RUNS = [
    ("docs/dlsr.md", "python tools/train.py configs/dlsr/dlsr_search_x2_div2k.py", SEARCH),
    ("docs/dlsr.md", "python tools/derive.py work_dirs/dlsr_search_x2_div2k", ""),
    ("docs/dlsr.md", "python tools/train.py configs/dlsr/dlsr_x2_div2k.py", TRAIN),
    ("docs/dlsr.md", "python tools/test.py configs/dlsr/dlsr_x2_div2k.py work_dirs", TEST),
    ("docs/dlsr.md", "python tools/analysis_tools/get_flops.py", ""),
    ("docs/comparing.md", "mmsrnas compare photos dlsr_x2.pth lanczos", "--no-latency"),
    ("docs/export.md", r"mmsrnas export work_dirs\S+ \S+\.(pth|safetensors)", ""),
    ("docs/inference.md", "mmsrnas infer", "--runtime torch"),
    ("docs/reliability.md", "python tools/misc/check_data.py", DATA),
    ("README.md", "python tools/dataset_converters/prepare_div2k.py", ""),
]
CONFIG = "configs/dlsr/dlsr_x2_div2k.py"


def commands() -> list[str]:
    """The lines that are run, in order, with what is added."""
    found = []
    for page, beginning, added in RUNS:
        text = (ROOT / page).read_text()
        blocks = "".join(re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S))
        lines = [line.partition(" #")[0] for line in blocks.replace("\\\n", " ").splitlines()]
        lines = [line for line in lines if re.match(beginning, line)]
        assert lines, f"{page} has no line '{beginning}' any more"
        for line in lines:
            options = "=" in added and "--cfg-options" not in line
            found.append(f"{line} {'--cfg-options' if options else ''} {added}")
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with what the pages take as given, small."""
    root = tmp_path_factory.mktemp("place")
    (root / "configs").symlink_to(ROOT / "configs")
    write_paired_images(root / "data/Set5")
    for name in ("Set14", "B100", "Urban100", "Manga109"):
        (root / "data" / name).symlink_to("Set5")
    for part in ("train", "valid"):
        write_paired_images(root / f"data/{part}")
        div2k = root / "data/DIV2K"
        div2k.mkdir(exist_ok=True)
        (root / f"data/{part}/HR").rename(div2k / f"DIV2K_{part}_HR")
        (root / f"data/{part}/LR_bicubic").rename(div2k / f"DIV2K_{part}_LR_bicubic")
    images = sorted((root / "data/Set5/HR").iterdir())[:3]
    for name in ("photos", "shots"):
        (root / name).mkdir()
    for index, path in enumerate(images):
        image = cv2.imread(str(path))
        cv2.imwrite(str(root / f"photos/{index}.png"), image)
        cv2.imwrite(str(root / f"shots/shot_{index}.jpg"), image[:20, :24])
    cv2.imwrite(str(root / "small.png"), image[:20, :24])
    video = cv2.VideoWriter(str(root / "noisy.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (32, 32))
    for _ in range(2):
        video.write(np.full((32, 32, 3), 127, np.uint8))
    video.release()
    torch.manual_seed(0)
    networks = {
        "dlsr_x2": DLSRNet("DLSR_TINY", mid_channels=8),
        "denoiser": HiNASNet("HINAS_DENOISE", "denoise", 1, 1, 4),
    }
    for name, network in networks.items():
        generator = {"type": f"mmsrnas.{type(network).__name__}"}
        generator["genotype"] = network.genotype.to_dict()
        meta = {"generator": generator}
        torch.save({"state_dict": network.state_dict(), "meta": meta}, root / f"{name}.pth")
    return root


@pytest.mark.parametrize("line", commands(), ids=lambda line: line[:70])
def test_command_runs(place, monkeypatch, line):
    words = shlex.split(re.sub(r"iter_\d+", "iter_2", line.replace("CONFIG", CONFIG)))
    if words[0] == "python":
        words = ["mmsrnas", str(ROOT / words[1]), *words[2:]]
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    # mmengine names loggers by the second, and one that it knows opens no new file.
    monkeypatch.setattr(MMLogger, "_instance_dict", OrderedDict())
    try:
        command.main()
    except SystemExit as end:
        assert not end.code, end.code
