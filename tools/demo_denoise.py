"""Searches, derives, trains and tests a denoiser on real photographs, in minutes on two cores.

``python tools/demo_denoise.py``

The photographs are those of ``tools/demo.py``, in gray, with noise of sigma 50; nothing is
downloaded.  The report with its pictures is ``work_dirs/demo_denoise/report.md``.
"""

import argparse
import os
import shutil
import time
from pathlib import Path

import demo
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmsrnas.analysis.plots import plot_crops
from mmsrnas.apis import init_generator
from mmsrnas.evaluation import PSNR
from mmsrnas.registry import DATASETS

EXPECTED_GAIN = 8.0
"""PSNR in dB that the searched network must gain over the noisy held-out photographs."""

DATA = Path("data/demo_denoise")
WORK = Path("work_dirs/demo_denoise")
GENOTYPE = WORK / "genotype.json"
SEARCH = "hinas_denoise_search_paths_reduced_photographs.py"
JUDGES = {"evaluations": 160, "final": 100, "finalists": 8}
FAST_JUDGES = {"evaluations": 4, "final": 2, "finalists": 2}
FAST_SEARCH = ["train_cfg.max_iters=4", "default_hooks.checkpoint.interval=4"]


def main() -> None:
    """Runs all stages and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--fast", action="store_true", help="four iterations each: shows that everything runs"
    )
    fast = parser.parse_args().fast
    start = time.monotonic()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)

    demo.stage("1/5 Photographs", start)
    prepare_photographs()
    demo.stage("2/5 Search an architecture", start)
    search = demo.CONFIGS.parent / "hinas" / SEARCH
    options = FAST_SEARCH if fast else []
    demo.run(WORK, "train.py", search, "--work-dir", WORK / "search", options=options)
    demo.stage("3/5 Judge networks, and derive the genotype", start)
    judges = [f"--{name}={count}" for name, count in (FAST_JUDGES if fast else JUDGES).items()]
    demo.run(WORK, "select_front.py", WORK / "search", "--cost", "multi_adds", *judges)
    demo.run(WORK, "derive.py", WORK / "search/front/supernet.pth", "--out", GENOTYPE)
    demo.stage("4/5 Train the network", start)
    config = demo.CONFIGS / "hinas_denoise_photographs.py"
    searched = f"model.generator.genotype={GENOTYPE}"
    options = [searched, *(["train_cfg.max_iters=4"] if fast else [])]
    demo.run(WORK, "train.py", config, "--work-dir", WORK / "train", options=options)
    demo.stage("5/5 Test it on the held-out photographs", start)
    checkpoint = Path(os.path.relpath((WORK / "train/last_checkpoint").read_text().strip()))
    demo.run(WORK, "test.py", config, checkpoint, "--work-dir", WORK / "test", options=[searched])

    config = WORK / "train" / config.name  # the run's own config, which names the genotype
    gain = write_report(init_generator(config, checkpoint), time.monotonic() - start)
    demo.stage(f"Done: {WORK / 'report.md'}", start)
    print(f"The searched network gains {gain:+.2f} dB PSNR over the noisy photographs.")
    if gain < EXPECTED_GAIN and not fast:
        raise SystemExit(f"That is less than the expected {EXPECTED_GAIN} dB.")


def prepare_photographs() -> None:
    """Copies the photographs of each part."""
    shutil.rmtree(DATA, ignore_errors=True)
    for part, photographs in demo.PHOTOGRAPHS.items():
        (DATA / part).mkdir(parents=True)
        for photograph in photographs:
            shutil.copy(demo.locate(photograph), DATA / part)


def write_report(network: nn.Module, seconds: float) -> float:
    """Draws the pictures and writes ``report.md``.

    Returns:
        PSNR of the network on the held-out photographs minus that of the noisy ones, in dB.
    """
    images = [versions_of(network, sample) for sample in held_out_samples()]
    values = [psnr_of(versions) for versions in images]
    captions = [{name: f"{value:.2f} dB" for name, value in row.items()} for row in values]
    plot_crops(images, WORK / "side_by_side.png", captions=captions)
    noisy, denoised = (np.mean([row[name] for row in values]) for name in values[0])
    (WORK / "report.md").write_text(f"""# A searched denoiser

The network gains **{denoised - noisy:+.2f} dB** PSNR over the noisy photographs ({noisy:.2f} dB,
noise of sigma 50, one field per photograph), which neither search nor training saw; it reaches
{denoised:.2f} dB. Everything took {seconds / 60:.1f} minutes on {os.cpu_count()} CPU cores.

## What was found
![genotype](genotype.png)

## What it does
![side by side](side_by_side.png)

## Commands
```
{(WORK / "commands.txt").read_text()}```
""")
    return float(denoised - noisy)


def held_out_samples() -> list[dict]:
    """The held-out photographs with the noise of the test."""
    init_default_scope("mmagic")
    config = Config.fromfile(demo.CONFIGS / "hinas_denoise_photographs.py")
    return list(DATASETS.build(config.test_dataloader[0].dataset))


def versions_of(network: nn.Module, sample: dict) -> dict[str, np.ndarray]:
    """Clean, noisy and denoised version of a photograph, uint8 RGB."""
    noisy = sample["inputs"]
    with torch.no_grad():
        denoised = network(noisy[None] / 255)[0] * 255
    versions = {
        "clean": sample["data_samples"].gt_img,
        "noisy": noisy,
        "searched HiNAS": denoised,
    }
    return {
        name: image.clamp(0, 255).round().byte().permute(1, 2, 0).repeat(1, 1, 3).numpy()
        for name, image in versions.items()
    }


def psnr_of(versions: dict[str, np.ndarray]) -> dict[str, float]:
    """PSNR of each version against the first."""
    metric = PSNR(prefix="held-out", input_order="HWC")
    (_, clean), *others = [(name, torch.from_numpy(image)) for name, image in versions.items()]
    return {name: metric.process_image(clean, image, None) for name, image in others}


if __name__ == "__main__":
    main()
