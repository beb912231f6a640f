"""What a second process saves of the policy step of an HNAS search.

    python benchmarks/policy_processes.py

Runs the search loop as configured (12 cells, 8 channels, x2, 8 architectures on 4 patches of 48x48
per step, paper's operations) on one process of one thread, then on two, which share the
architectures of a step, and on two that know nothing of each other and score half as many each:
the floor that cores and memory set. Printed are medians over the steps, per architecture: of the
time that passes, which needs two free cores, and of the CPU time of the slower process.

Two processes begin a step together: what the first one does between steps (it writes logs and
checkpoints) counts as little as on one. How long the other waits for that is printed, too.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/test_engine"))

import tiny_rl_search
import tiny_search

SAMPLES = 8
SUPERNET = {"num_cells": 12, "num_nodes": 4, "mid_channels": 8, "variant": "paper",
            "cost": "multi_adds", "derived_mid_channels": 64}  # fmt: skip


def search(folder: Path, kind: str, rank: int, steps: int) -> None:
    """Searches as one of the processes of a kind, and writes the times of the policy steps."""
    tiny_search.quicken()
    options: dict[str, Any] = {}
    together = kind == "two"
    if together:
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2")
        meeting = f"file://{folder}/meeting"
        torch.distributed.init_process_group("gloo", meeting, rank=rank, world_size=2)
        options = {"launcher": "pytorch", "model_wrapper_cfg": tiny_search.WRAPPER}
    patches = tiny_rl_search.dataloader(folder, (8, 12), batch_size=4)
    patches["dataset"]["pipeline"][2]["gt_patch_size"] = 96
    loop_options = {"policy_dataloader": patches, "warmup_iters": 0, "weight_iters": 1,
                    "policy_iters": steps + 1,
                    "num_samples": SAMPLES // 2 if kind == "apart" else SAMPLES}  # fmt: skip
    runner = tiny_rl_search.runner(
        folder,
        run=f"{kind}_{rank if kind == 'apart' else 0}",
        iters=steps + 2,
        loop=loop_options,
        supernet=SUPERNET,
        **options,
    )
    loop: Any = runner.build_train_loop(runner._train_loop)
    runner._train_loop, step = loop, loop._policy_step
    times = []

    def timed(batch: dict, first: bool) -> dict:
        came = time.perf_counter()
        if together:
            torch.distributed.barrier()
        start = time.perf_counter(), time.process_time()
        log = step(batch, first)
        if not first:  # which scores random architectures, too
            took = time.perf_counter() - start[0], time.process_time() - start[1]
            times.append((*took, start[0] - came))
        return log

    loop._policy_step = timed
    runner.train()
    (folder / f"times_{kind}_{rank}.json").write_text(json.dumps(times))


def measure(folder: Path, kind: str, steps: int) -> list[float]:
    """Seconds that pass, CPU seconds and seconds of waiting before a step of the slower process.

    Per scored architecture.
    """
    ranks, children = range(1 if kind == "one" else 2), []
    for rank in ranks:
        pid = os.fork()
        if pid == 0:
            try:
                search(folder, kind, rank, steps)
            except BaseException as error:
                print(error, file=sys.stderr)
                os._exit(1)
            os._exit(0)
        children.append(pid)
    statuses = [os.waitpid(pid, 0)[1] for pid in children]
    if any(statuses):
        raise SystemExit("a process failed")
    files = (folder / f"times_{kind}_{rank}.json" for rank in ranks)
    times = torch.tensor([json.loads(file.read_text()) for file in files])  # (process, step, 3)
    return (times.amax(dim=0).median(dim=0).values / SAMPLES).tolist()


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Policy step of HNAS on one and two processes")
    parser.add_argument("--steps", type=int, default=6, help="that are timed")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny_search.write_images(folder, size=96)
        one, two, apart = (measure(folder, kind, args.steps) for kind in ("one", "two", "apart"))
    for index, kind in enumerate(("time", "CPU time")):
        alone = one[index]
        print(
            f"{kind}, s per architecture: {alone:.3f} on one process, {two[index]:.3f} on two "
            f"({two[index] / alone:.2f}x), {apart[index]:.3f} on two that share nothing "
            f"({apart[index] / alone:.2f}x)"
        )
    print(f"s per architecture between two steps, in which one process waits: {two[2]:.3f}")


if __name__ == "__main__":
    main()
