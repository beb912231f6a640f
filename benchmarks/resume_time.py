"""Times how long a search takes from ``--resume`` to its next iteration, by where it was.

    python benchmarks/resume_time.py --done 2000 20000 200000 --workers 0 2

A tiny search saves a checkpoint, whose iteration and architecture steps are then set to those asked
for; the search is resumed from there for one iteration. ``--replay`` adds mmengine's own way, which
loads all batches of the past again. Images are of 40x40 pixels: with real ones replaying takes the
longer, going on does not.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import mmengine
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/test_engine"))

import tiny_search

OPTIONS: dict[str, Any] = {"save_interval": 2, "arch": {"mode": "bilevel"}}


def save_at(folder: Path, run: str, done: int, **options: Any) -> None:
    """Saves the checkpoint of a search after a number of iterations."""
    tiny_search.runner(folder, run=run, iters=2, **OPTIONS, **options).train()
    path = folder / run / "iter_2.pth"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["meta"]["iter"] = checkpoint["arch_optimizer"]["steps"] = done
    saved = path.with_name(f"iter_{done}.pth")
    torch.save(checkpoint, saved)
    path.with_name("last_checkpoint").write_text(str(saved))


def seconds_to_go_on(folder: Path, run: str, done: int, **options: Any) -> float:
    """Wall time of one iteration of a resumed search, its start included."""
    save_at(folder, run, done, **options)
    start = time.perf_counter()
    tiny_search.runner(folder, run=run, iters=done + 1, resume=True, **OPTIONS, **options).train()
    return time.perf_counter() - start


def main() -> None:
    """Prints one line per place and number of workers."""
    parser = argparse.ArgumentParser(description="Time to the first iteration of a resumed search")
    parser.add_argument("--done", type=int, nargs="+", default=[2_000, 20_000, 200_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--replay", type=int, nargs="*", default=[], help="places for mmengine")
    args = parser.parse_args()
    torch.set_num_threads(1)
    mmengine.config.config.FormatCode = tiny_search.unformatted
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny_search.write_images(folder)
        seconds_to_go_on(folder, "warm_up", 2)
        for workers in args.workers:
            for done in args.done:
                run = f"{workers}_{done}"
                seconds = seconds_to_go_on(folder, run, done, workers=workers)
                print(f"{workers} workers, after {done:,} iterations: {seconds:.2f} s", flush=True)
        for done in args.replay:
            seconds = seconds_to_go_on(folder, f"replay_{done}", done, exact=False)
            print(f"replay by mmengine, after {done:,} iterations: {seconds:.2f} s", flush=True)


if __name__ == "__main__":
    main()
