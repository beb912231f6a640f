"""Kills searches and trainings at random moments, damages their files, and compares the end.

    python benchmarks/kill_campaign.py --kills 100 --out kills.csv

A trial is a run that is killed five times and then ends; it must end bit-identical to the run that
nobody touched. The moment of a kill is a CPU time, drawn with the seed of the trial from what is
left of the run: the kernel ends the process there, be it in the middle of a file. Before each
resume the work dir is damaged, moved or copied by a draw of the same seed; ``--strategy NAME
--seed N --kills 5`` repeats the draws of a trial. Every run is a new process, forked from this one
after the imports; the networks are tiny, the images of 40x40 pixels. Trials that are in the table
of ``--out`` already are not run again.
"""

import argparse
import csv
import gc
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/test_engine"))

import tiny_rl_search
import tiny_search
from truth.table import append_row

import mmsrnas.engine
import mmsrnas.models.editors
import mmsrnas.pruning  # noqa: F401  (all imports before the first fork)

ITERS = 10
KILLS_PER_TRIAL = 5
COLUMNS = ("strategy", "seed", "kills", "before each resume", "end", "seconds")
COMMON = {"iters": ITERS, "save_interval": 2, "val_interval": 4}
DLSR = {"type": "mmsrnas.DLSRSupernet", "mid_channels": 4, "num_cells": 3}
HINAS = {"type": "mmsrnas.HiNASSupernet", "upscale_factor": 2, "num_cells": 2, "num_nodes": 1,
         "mid_channels": 4}  # fmt: skip
DRN = {"type": "mmsrnas.DRNNet", "upscale_factor": 2, "num_blocks": 1, "mid_channels": 8}
ELASTIC = {"type": "mmsrnas.ElasticSupernet", "num_cells": (1, 2), "mid_channels": (4, 6),
           "cells_per_stage": 1, "activations": ("silu", "prelu")}  # fmt: skip
NETWORK = {"type": "mmsrnas.DLSRNet", "genotype": "DLSR_TINY", "mid_channels": 4}
HOOKS = [
    {"type": "mmsrnas.GenotypeHook"},
    {"type": "mmsrnas.SearchEarlyStopHook", "interval": 4, "patience": 100},
]


def patches(folder: Path, *indices: int) -> dict[str, Any]:
    """Dataloader of patches that are large enough for every network."""
    cfg = tiny_search.dataloader(folder, indices)
    cfg["dataset"]["pipeline"][2]["gt_patch_size"] = 32
    return cfg


def data(folder: Path) -> dict[str, Any]:
    """Dataloaders of training and validation."""
    whole = {"sampler": {"type": "DefaultSampler", "shuffle": False}, "batch_size": 1}
    validation = tiny_search.dataloader(folder, (0, 2), augment=False, **whole)
    return {"train_dataloader": patches(folder, 0, 8), "val_dataloader": validation}


def training(folder: Path, **options: Any) -> None:
    """Trains a network without a search."""
    plain = {"optim_wrapper": {"optimizer": {"type": "Adam", "lr": 1e-3}}}
    plain["custom_hooks"] = [{"type": "mmsrnas.ExactResumeHook"}]
    tiny_search.search(folder, supernet=NETWORK, **plain, **data(folder), **COMMON, **options)


def elastic(folder: Path, **options: Any) -> None:
    """Trains the networks of an elastic supernet together."""
    model = tiny_search.config(folder)["model"]
    model |= {"type": "mmsrnas.SandwichEditor", "generator": ELASTIC}
    hooks = [{"type": "mmsrnas.ExactResumeHook"}, HOOKS[0]]
    wrapper = {"optimizer": {"type": "Adam", "lr": 1e-3}}
    options |= {"model": model, "custom_hooks": hooks, "optim_wrapper": wrapper}
    tiny_search.search(folder, **data(folder), **COMMON, **options)


def hnas(folder: Path, **options: Any) -> None:
    """Searches by reinforcement learning."""
    hooks = [{"type": "mmsrnas.ExactResumeHook"}, HOOKS[0]]
    tiny_rl_search.search(folder, hooks=hooks, **COMMON, **options)


def gradients(supernet: dict, arch: dict) -> Callable[..., None]:
    """A differentiable search."""

    def run(folder: Path, **options: Any) -> None:
        arch_hook = {"warmup_iters": 2, "dataloader": patches(folder, 8, 12)} | arch
        options |= COMMON | data(folder)
        tiny_search.search(folder, supernet=supernet, arch=arch_hook, hooks=HOOKS, **options)

    return run


STRATEGIES: dict[str, Callable[..., None]] = {
    "dlsr": gradients(DLSR, {"mode": "mixed"}),
    "hinas": gradients(HINAS, {"mode": "bilevel"}),
    "hnas": hnas,
    "drc": gradients({"type": "mmsrnas.ChannelNumberSearch", "generator": DRN,
                      "budget_share": 0.5},
                     {"mode": "bilevel"}),
    "elastic": elastic,
    "training": training,
}  # fmt: skip


def in_child(
    function: Callable[..., None], *args: Any, kill_at: float = 0.0, **kwargs: Any
) -> float | None:
    """Runs a function in a forked process.

    Args:
        function: What to run.
        *args: Its arguments.
        kill_at: CPU seconds after which the kernel ends the process; 0 is never.
        **kwargs: Its arguments.

    Returns:
        CPU seconds of the process, or None if it was killed.

    Raises:
        RuntimeError: The process failed.
    """
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.signal(signal.SIGPROF, signal.SIG_DFL)  # which is to end at once, as SIGKILL
            signal.setitimer(signal.ITIMER_PROF, kill_at)
            function(*args, **kwargs)
            signal.setitimer(signal.ITIMER_PROF, 0)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status, usage = os.wait4(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF:
        return None
    if status:
        raise RuntimeError(f"the run failed with status {status}")
    return usage.ru_utime + usage.ru_stime


def result(work_dir: Path) -> dict[str, Any]:
    """What must be the same: all of the last checkpoint but times and places, and the genotype."""
    checkpoint = torch.load(work_dir / f"iter_{ITERS}.pth", weights_only=True)
    hub = checkpoint.pop("message_hub")
    history = {k: v for k, v in hub["log_scalars"].items() if not k.endswith("time")}
    info = hub["runtime_info"]
    best = sorted(path.name for path in work_dir.glob("best*.pth"))
    genotype = work_dir / "genotype.json"
    return checkpoint | {
        "meta": {k: checkpoint["meta"][k] for k in ("iter", "seed")},
        "history": history,
        "best": (best, info.get("best_score"), Path(info.get("best_ckpt", "")).name),
        "genotype": genotype.read_text() if genotype.is_file() else None,
    }


def difference(a: Any, b: Any, name: str = "") -> str | None:
    """The first place where two nested results differ, to the bit."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return None if a.dtype == b.dtype and torch.equal(a, b) else name
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        pairs = ((key, a[key], b[key]) for key in a)
    elif isinstance(a, list | tuple) and type(a) is type(b) and len(a) == len(b):
        pairs = ((i, x, y) for i, (x, y) in enumerate(zip(a, b, strict=True)))
    else:
        return None if a == b else name
    return next(filter(None, (difference(x, y, f"{name}.{key}") for key, x, y in pairs)), None)


def damage(work_dir: Path, rng: random.Random) -> tuple[Path, str]:
    """Does to a work dir what crashes and users do; returns where it is now, and what was done."""
    pointer = work_dir / "last_checkpoint"
    steps = {p: p.stem[5:] for p in work_dir.glob("iter_*.pth")}
    saved = sorted((p for p in steps if steps[p].isdigit()), key=lambda p: int(steps[p]))
    kind = rng.choice(
        ["nothing", "no pointer", "NULs in pointer", "UTF-16 pointer", "folder as pointer",
         "stray half checkpoint", "stray other file", "last checkpoint cut off", "moved", "copied"]
    )  # fmt: skip
    if "pointer" in kind:
        shutil.rmtree(pointer, ignore_errors=True)  # an earlier damage
        pointer.unlink(missing_ok=True)
    if kind == "NULs in pointer":
        pointer.write_bytes(b"\0" * 64)
    elif kind == "UTF-16 pointer":
        pointer.write_bytes(str(pointer).encode("utf-16"))
    elif kind == "folder as pointer":
        pointer.mkdir()
    elif kind == "stray half checkpoint" and saved:
        (work_dir / "iter_99.pth").write_bytes(saved[-1].read_bytes()[:-500])
    elif kind == "stray other file":
        torch.save({"weights": [1, 2]}, work_dir / "iter_98.pth")
        (work_dir / "iter_x.pth").write_bytes(b"")
    elif kind == "last checkpoint cut off" and len(saved) > 1:
        saved[-1].write_bytes(saved[-1].read_bytes()[: rng.randrange(3000)])
    elif kind in ("moved", "copied"):
        target = work_dir.with_name(f"{work_dir.name}_")
        shutil.copytree(work_dir, target)
        if kind == "moved":
            shutil.rmtree(work_dir)
        return target, kind
    return work_dir, kind


def left(work_dir: Path) -> float:
    """Share of its iterations that a run has before it."""
    steps = [int(p.stem[5:]) for p in work_dir.glob("iter_*.pth") if p.stem[5:].isdigit()]
    return 1 - max((step for step in steps if step <= ITERS), default=0) / ITERS


def trial(
    run: Callable[..., None], folder: Path, cost: tuple[float, float], seed: int, kills: int
) -> list[str]:
    """Kills a run some times and lets it end.

    Args:
        run: The run.
        folder: Of images and work dirs.
        cost: CPU seconds of its iterations, and of a resume at the end.
        seed: Of the trial.
        kills: How often it is killed.

    Returns:
        What was done before each resume.
    """
    rng = random.Random(seed)
    work_dir, done, originals = folder / f"trial_{seed}", [], {}
    while len(done) < kills:
        seconds = rng.random() * (cost[1] + cost[0] * left(work_dir))
        killed = in_child(run, folder, run=work_dir.name, resume=bool(done),
                          kill_at=max(seconds, 1e-3)) is None  # fmt: skip
        if not killed:  # it was quicker than expected: begin anew
            shutil.rmtree(work_dir)
            work_dir.mkdir()
            continue
        work_dir.mkdir(exist_ok=True)
        before, (work_dir, kind) = work_dir, damage(work_dir, rng)
        done.append(kind)
        if kind == "copied":
            originals[before] = contents(before)
    in_child(run, folder, run=work_dir.name, resume=True)
    touched = [path.name for path, files in originals.items() if contents(path) != files]
    if touched:
        raise RuntimeError(f"a run in a copy changed the original {touched}")
    work_dir.rename(folder / f"end_{seed}")
    return done


def contents(folder: Path) -> dict[str, int]:
    """Files of a folder and when they were changed."""
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def campaign(name: str, folder: Path, seeds: list[int]) -> Iterator[dict[str, Any]]:
    """Runs the trials of a strategy; yields the row of each."""
    run = STRATEGIES[name]
    tiny_search.write_images(folder)
    run(folder, run="whole")  # in this process: what it imports, the others need not
    expected = result(folder / "whole")
    gc.freeze()
    whole = in_child(run, folder, run="timed") or 0.0
    resume = in_child(run, folder, run="timed", resume=True) or 0.0
    for seed in seeds:
        start = time.monotonic()
        try:
            done = trial(run, folder, (whole - resume, resume), seed, KILLS_PER_TRIAL)
            verdict = difference(result(folder / f"end_{seed}"), expected) or "identical"
        except RuntimeError as error:
            done, verdict = [], str(error)
        row = (name, seed, KILLS_PER_TRIAL, " / ".join(done), verdict)
        yield dict(zip(COLUMNS, (*row, round(time.monotonic() - start, 1)), strict=True))


def main() -> None:
    """Runs the campaign and writes one row per trial, as soon as it ends."""
    parser = argparse.ArgumentParser(description="Kill runs at random moments")
    parser.add_argument("--strategy", nargs="+", choices=STRATEGIES, default=list(STRATEGIES))
    parser.add_argument("--kills", type=int, default=100, help="for each strategy")
    parser.add_argument("--seed", type=int, default=0, help="of the first trial")
    parser.add_argument("--out", type=Path, help="CSV file; its trials are not run again")
    args = parser.parse_args()
    tiny_search.quicken()
    known = set()
    if args.out and args.out.is_file():
        with args.out.open(newline="") as file:
            known = {(row["strategy"], int(row["seed"])) for row in csv.DictReader(file)}
    seeds = range(args.seed, args.seed + -(-args.kills // KILLS_PER_TRIAL))
    count = failed = 0
    for name in args.strategy:
        new = [seed for seed in seeds if (name, seed) not in known]
        if not new:
            continue
        with tempfile.TemporaryDirectory() as folder:
            for row in campaign(name, Path(folder), new):
                count += 1
                failed += row["end"] != "identical"
                print(*row.values(), sep=", ", flush=True)
                if args.out:
                    append_row(args.out, row, COLUMNS)
    print(f"{count - failed} of {count} trials ended identical")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
