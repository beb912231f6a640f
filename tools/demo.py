"""Searches, derives, trains and tests a network on real photographs, in minutes on two cores.

``python tools/demo.py``

The photographs come inside scikit-image, scikit-learn and matplotlib; nothing is downloaded.  Every
command is shown before it runs, so that it can be repeated by hand.  The report with its pictures
is ``work_dirs/demo/report.md``.
"""

import argparse
import csv
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections import deque
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mmsrnas.analysis.plots import plot_crops, plot_curves, read_scalars
from mmsrnas.apis import init_generator
from mmsrnas.datasets import imresize, read_image
from mmsrnas.datasets.prepare import extract_sub_images, write_pairs
from mmsrnas.datasets.resize import mod_crop
from mmsrnas.evaluation import PSNR

SCALE = 2
PHOTOGRAPHS = {
    "weights": [
        "skimage/data/astronaut.png",
        "skimage/data/motorcycle_left.png",
        "skimage/data/motorcycle_right.png",
        "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
    ],
    "architecture": ["skimage/data/rocket.jpg", "sklearn/datasets/images/flower.jpg"],
    "held_out": [
        "skimage/data/chelsea.png",
        "skimage/data/coffee.png",
        "sklearn/datasets/images/china.jpg",
    ],
}

EXPECTED_GAIN = 0.5
"""PSNR-Y in dB that the searched network must gain over bicubic on the held-out photographs."""

TOOLS = Path(os.path.relpath(Path(__file__).parent))
CONFIGS = Path(os.path.relpath(Path(__file__).parents[1] / "configs/demo"))
DATA = Path("data/demo")
WORK = Path("work_dirs/demo")
GENOTYPE = WORK / "genotype.json"

FAST_TRAIN = [
    "train_cfg.max_iters=4",
    "train_dataloader.batch_size=2",
    "default_hooks.logger.interval=1",
    "log_processor.window_size=1",
    "default_hooks.checkpoint.interval=4",
]
FAST_SEARCH = [
    *FAST_TRAIN,
    "default_hooks.arch_optimizer.warmup_iters=2",
    "default_hooks.arch_optimizer.dataloader.batch_size=2",
]


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

    stage("1/6 Photographs", start)
    prepare_photographs()
    stage("2/6 Search an architecture", start)
    search = CONFIGS / "dlsr_search_tiny_x2_photographs.py"
    run(
        WORK, "train.py", search, "--work-dir", WORK / "search", options=FAST_SEARCH if fast else []
    )
    stage("3/6 Derive the genotype", start)
    run(WORK, "derive.py", WORK / "search", "--out", GENOTYPE)
    stage("4/6 Train the network", start)
    config = CONFIGS / "dlsr_tiny_x2_photographs.py"
    searched = f"model.generator.genotype={GENOTYPE}"
    options = [searched, *(FAST_TRAIN if fast else [])]
    run(WORK, "train.py", config, "--work-dir", WORK / "train", options=options)
    stage("5/6 Test it on the held-out photographs", start)
    checkpoint = Path((WORK / "train/last_checkpoint").read_text().strip())
    checkpoint = Path(os.path.relpath(checkpoint))
    run(WORK, "test.py", config, checkpoint, "--work-dir", WORK / "test", options=[searched])
    stage("6/6 Compare it with bicubic interpolation", start)
    config = WORK / "train" / config.name  # the run's own config, which names the genotype
    # A busy machine must not end a demo: the spread stands beside the median.
    size = ["--max-spread", 9]
    size += ["--hr", "320x180", "--target", "torch:cpu:1:48x48"] if fast else []
    run(WORK, "compare.py", config, "--model", "DLSR", config, checkpoint, "--out", WORK, *size)

    network = init_generator(config, checkpoint)
    gain = write_report(network, time.monotonic() - start)
    stage(f"Done: {WORK / 'report.md'}", start)
    print(f"The searched network gains {gain:+.2f} dB PSNR-Y over bicubic interpolation.")
    if gain < EXPECTED_GAIN and not fast:
        raise SystemExit(f"That is less than the expected {EXPECTED_GAIN} dB.")


def stage(title: str, start: float) -> None:
    """Prints a heading with the time since the start."""
    minutes, seconds = divmod(int(time.monotonic() - start), 60)
    print(f"\n=== {title} [{minutes}:{seconds:02} since the start] ===", flush=True)


def run(work: Path, tool: str, *args: object, options: list[str] | None = None) -> None:
    """Shows and runs a command of ``tools/``; its failure ends the demo.

    Training and testing print their whole config: only their progress is shown, all is logged in
    ``work``.
    """
    command = [str(TOOLS / tool), *map(str, args)]
    if options:
        command += ["--cfg-options", *options]
    line = shlex.join(["python", *command])
    with open(work / "commands.txt", "a") as file:
        file.write(line + "\n")
    print(f"$ {line}", flush=True)
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Threads gain little on small images, and lose a lot beside other programs.
        env={"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | os.environ,
    )
    last = deque(maxlen=30)
    with process, open(work / "log.txt", "a") as log:
        for line in process.stdout:
            log.write(line)
            last.append(line)
            if tool not in ("train.py", "test.py") or "Iter(" in line or "Genotype" in line:
                print(line, end="", flush=True)
    if process.returncode:
        print("".join(last))
        raise SystemExit(f"The command failed with exit code {process.returncode}.")


def prepare_photographs() -> None:
    """Writes the photographs of each part as HR and LR images; those for training in patches."""
    shutil.rmtree(DATA, ignore_errors=True)
    for part, photographs in PHOTOGRAPHS.items():
        folder = DATA / part
        (folder / "photographs").mkdir(parents=True)
        for photograph in photographs:
            shutil.copy(locate(photograph), folder / "photographs")
        write_pairs(folder / "photographs", folder, [SCALE])
        if part != "held_out":
            lr_folder = folder / f"LR_bicubic/X{SCALE}"
            extract_sub_images(folder / "HR", lr_folder, SCALE, size=96, step=48)
        print(f"{part}: {', '.join(Path(name).stem for name in photographs)}")


def locate(photograph: str) -> Path:
    """Finds ``package/path`` in the installed packages."""
    package, _, path = photograph.partition("/")
    spec = find_spec(package)
    if spec is None or not (file := Path(spec.submodule_search_locations[0]) / path).is_file():
        raise SystemExit(
            f"The photograph {photograph} is missing. Install the packages of "
            "requirements/lock.txt: pip install scikit-image scikit-learn matplotlib"
        )
    return file


def write_report(network: nn.Module, seconds: float) -> float:
    """Draws the pictures and writes ``report.md``.

    Returns:
        PSNR-Y of the network on the held-out photographs minus that of bicubic, in dB.
    """
    search, train = read_scalars(WORK / "search"), read_scalars(WORK / "train")
    entropy = {k.partition("/")[2]: v for k, v in search.items() if k.startswith("arch_entropy")}
    plot_curves(
        {
            "Search: entropy (1 = undecided)": entropy,
            "Search: loss": {"loss": search["loss"]},
            "Training: loss": {"loss": train["loss"]},
        },
        WORK / "curves.png",
    )
    images = [versions_of(network, path) for path in sorted((DATA / "held_out/HR").iterdir())]
    plot_crops(images, WORK / "side_by_side.png", captions=[captions_of(i) for i in images])
    with open(WORK / "table.csv", newline="") as file:
        bicubic, searched = csv.DictReader(file)
    gain = float(searched["held-out/PSNR"]) - float(bicubic["held-out/PSNR"])
    held_out = ", ".join(Path(name).stem for name in PHOTOGRAPHS["held_out"])
    (WORK / "report.md").write_text(f"""# A searched super-resolution network

The network gains **{gain:+.2f} dB** PSNR-Y over bicubic interpolation at scale {SCALE} on
photographs that neither search nor training saw ({held_out}). Everything took
{seconds / 60:.1f} minutes on {os.cpu_count()} CPU cores.

{(WORK / "table.md").read_text()}
PSNR and SSIM are on Y, {SCALE} pixels at each border left out, the prediction rounded to 8 bits.

## What was found
![genotype](genotype.png)

## What it does
Each row: a held-out photograph, and the part of it that bicubic interpolation restores worst.

![side by side](side_by_side.png)

## How it went
![curves](curves.png)

## Commands
```
{(WORK / "commands.txt").read_text()}```
""")
    return gain


def versions_of(network: nn.Module, hr_path: Path) -> dict[str, np.ndarray]:
    """HR, bicubic and network versions of a photograph, uint8 RGB."""
    lr_path = DATA / f"held_out/LR_bicubic/X{SCALE}/{hr_path.stem}x{SCALE}.png"
    hr, lr = (read_image(path) for path in (hr_path, lr_path))
    with torch.no_grad():
        sr = network(torch.from_numpy(lr).permute(2, 0, 1)[None] / 255)[0]
    sr = (sr.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return {"HR": mod_crop(hr, SCALE), "bicubic": imresize(lr, SCALE), "searched DLSR": sr}


def captions_of(versions: dict[str, np.ndarray]) -> dict[str, str]:
    """PSNR-Y of each version against the first."""
    metric = PSNR(crop_border=SCALE, convert_to="Y", prefix="held-out")
    metric.channel_order = "RGB"
    (_, reference), *others = [
        (name, torch.from_numpy(image.copy()).permute(2, 0, 1)) for name, image in versions.items()
    ]
    return {
        name: f"{metric.process_image(reference, image, None):.2f} dB" for name, image in others
    }


if __name__ == "__main__":
    main()
