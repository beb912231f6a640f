"""From photographs to a shipped network, in minutes on two cores: ``mmsrnas auto`` on real ones.

``python tools/demo.py``

The photographs come inside scikit-image, scikit-learn and matplotlib; nothing is downloaded.  The
command is shown before it runs, so that it can be repeated by hand.  The report with its pictures
is ``work_dirs/demo/auto/report.md``; interrupted, the same command goes on.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections import deque
from importlib.util import find_spec
from pathlib import Path

from mmsrnas.datasets.prepare import extract_sub_images, write_pairs

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

MAX_LATENCY = 35
"""Budget in milliseconds, on the default target."""
HOURS = 0.15

TOOLS = Path(os.path.relpath(Path(__file__).parent))
CONFIGS = Path(os.path.relpath(Path(__file__).parents[1] / "configs/demo"))
DATA = Path("data/demo")
WORK = Path("work_dirs/demo")

FAST_TRAIN = [
    "train_cfg.max_iters=4",
    "train_dataloader.batch_size=2",
    "default_hooks.logger.interval=1",
    "log_processor.window_size=1",
    "default_hooks.checkpoint.interval=4",
]


def main() -> None:
    """Prepares the photographs and does everything."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    start = time.monotonic()
    WORK.mkdir(parents=True, exist_ok=True)
    stage("1/2 Photographs", start)
    prepare_photographs()
    stage("2/2 A network for them", start)
    budget = ["--max-latency", MAX_LATENCY, "--hours", HOURS]
    run(WORK, "auto.py", DATA / "photographs", *budget, "--control", "--out", WORK / "auto")
    print((WORK / "auto/report.md").read_text())
    stage(f"Done: {WORK / 'auto/report.md'}", start)


def stage(title: str, start: float) -> None:
    """Prints a heading with the time since the start."""
    minutes, seconds = divmod(int(time.monotonic() - start), 60)
    print(f"\n=== {title} [{minutes}:{seconds:02} since the start] ===", flush=True)


def run(work: Path, tool: str, *args: object, options: list[str] | None = None) -> None:
    """Shows and runs a command of ``tools/``; its failure ends the demo.

    Trainings and tests print their whole config: only their progress is shown, all is logged in
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
            if (
                tool not in ("auto.py", "train.py", "test.py")
                or "Iter(" in line
                or "Genotype" in line
            ):
                print(line, end="", flush=True)
    if process.returncode:
        print("".join(last))
        raise SystemExit(f"The command failed with exit code {process.returncode}.")


def prepare_photographs() -> None:
    """Copies all photographs, and writes those of each part as HR and LR images.

    The other demos and the reduced configs take the parts, where those for training are patches.
    """
    shutil.rmtree(DATA, ignore_errors=True)
    (DATA / "photographs").mkdir(parents=True)
    for part, photographs in PHOTOGRAPHS.items():
        folder = DATA / part
        (folder / "photographs").mkdir(parents=True)
        for photograph in photographs:
            shutil.copy(locate(photograph), folder / "photographs")
            shutil.copy(locate(photograph), DATA / "photographs")
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


if __name__ == "__main__":
    main()
