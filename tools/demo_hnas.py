"""Searches by reinforcement learning and ranks what was found, in minutes on two cores.

``python tools/demo_hnas.py``

The photographs are those of ``tools/demo.py``.  Commands, table and pictures are in
``work_dirs/demo_hnas``.
"""

import argparse
import time
from pathlib import Path

from demo import CONFIGS, FAST_TRAIN, prepare_photographs, run, stage

WORK = Path("work_dirs/demo_hnas")

FAST = [
    *FAST_TRAIN,
    "train_cfg.max_iters=6",
    "train_cfg.val_interval=6",
    "train_cfg.warmup_iters=1",
    "train_cfg.weight_iters=2",
    "train_cfg.policy_iters=3",
    "train_cfg.num_samples=2",
    "train_cfg.num_references=2",
]


def main() -> None:
    """Runs both stages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--fast", action="store_true", help="six iterations: shows that everything runs"
    )
    fast = parser.parse_args().fast
    start = time.monotonic()
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "commands.txt").unlink(missing_ok=True)
    stage("1/3 Photographs", start)
    prepare_photographs()
    stage("2/3 Search weights and policy in turn", start)
    config = CONFIGS / "hnas_search_tiny_x2_photographs.py"
    run(WORK, "train.py", config, "--work-dir", WORK / "search", options=FAST if fast else [])
    stage("3/3 Rank the architectures of the policy beside random ones", start)
    samples = 2 if fast else 20
    run(WORK, "rank_policy.py", WORK / "search", "--out", WORK, "--num-samples", samples)
    stage(f"Done: {WORK / 'architectures.csv'}, {WORK / 'pareto.png'}", start)


if __name__ == "__main__":
    main()
