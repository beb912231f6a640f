"""Kills searches and trainings at random moments, damages their files, and compares the end.

    python benchmarks/kill_campaign.py --kills 60 --out kills.csv

A trial is a run that is killed five times and then ends; it must end bit-identical to the run that
nobody touched. The moment of a kill is a number of function calls, drawn with the seed of the
trial, so that ``--strategy NAME --seed N`` repeats a failure. Before each resume the work dir is
damaged, moved or copied by a draw of the same seed. Every run is a new process, forked from this
one after the imports; the networks are tiny, the images of 40x40 pixels.
"""

import argparse
import csv
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmengine
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/test_engine"))

import tiny_rl_search
import tiny_search

import mmsrnas.engine
import mmsrnas.models.editors
import mmsrnas.pruning  # noqa: F401  (all imports before the first fork)

ITERS = 10
KILLS_PER_TRIAL = 5
COMMON = {"iters": ITERS, "save_interval": 2, "val_interval": 4}
DLSR = {"type": "mmsrnas.DLSRSupernet", "mid_channels": 4, "num_cells": 3}
HINAS = {"type": "mmsrnas.HiNASSupernet", "upscale_factor": 2, "num_cells": 2, "num_nodes": 1,
         "mid_channels": 4}  # fmt: skip
DRN = {"type": "mmsrnas.DRNNet", "upscale_factor": 2, "num_blocks": 1, "mid_channels": 8}
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
    "training": training,
}  # fmt: skip


def in_child(function: Callable[..., None], *args: Any, kill_at: int = 0, **kwargs: Any) -> int:
    """Runs a function in a forked process.

    Args:
        function: What to run.
        *args: Its arguments.
        **kwargs: Its arguments.
        kill_at: Number of function calls after which the process kills itself; 0 is never.

    Returns:
        Number of function calls of the process, or -1 if it was killed.

    Raises:
        RuntimeError: The process failed.
    """
    counter = tempfile.NamedTemporaryFile("r+")  # noqa: SIM115 (shared with the child)
    pid = os.fork()
    if pid == 0:
        calls = 0

        def count(frame: Any, event: str, arg: Any) -> None:
            nonlocal calls
            if event == "call":
                calls += 1
                if calls == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        try:
            sys.setprofile(count)
            function(*args, **kwargs)
            sys.setprofile(None)
            counter.write(str(calls))
            counter.flush()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return -1
    if status:
        raise RuntimeError(f"the run failed with status {status}")
    counter.seek(0)
    return int(counter.read())


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


def trial(run: Callable[..., None], folder: Path, calls: int, seed: int, kills: int) -> list[str]:
    """Kills a run some times and lets it end; returns what was done before each resume."""
    rng = random.Random(seed)
    work_dir, done, originals = folder / f"trial_{seed}", [], {}
    while len(done) < kills:
        killed = in_child(run, folder, run=work_dir.name, resume=bool(done),
                          kill_at=rng.randrange(1, calls)) < 0  # fmt: skip
        if not killed:  # resumed runs have less to do: begin anew
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


def main() -> None:
    """Runs the campaign and writes one row per trial, as soon as it ends."""
    parser = argparse.ArgumentParser(description="Kill runs at random moments")
    parser.add_argument("--strategy", nargs="+", choices=STRATEGIES, default=list(STRATEGIES))
    parser.add_argument("--kills", type=int, default=60, help="for each strategy")
    parser.add_argument("--seed", type=int, default=0, help="of the first trial")
    parser.add_argument("--out", type=Path, help="CSV file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    mmengine.config.config.FormatCode = tiny_search.unformatted  # yapf takes most of the time
    rows, failed = [], 0
    for name in args.strategy:
        with tempfile.TemporaryDirectory() as folder:
            images = Path(folder)
            tiny_search.write_images(images)
            calls = in_child(STRATEGIES[name], images, run="whole")
            expected = result(images / "whole")
            for seed in range(args.seed, args.seed + -(-args.kills // KILLS_PER_TRIAL)):
                start = time.monotonic()
                try:
                    done = trial(STRATEGIES[name], images, calls, seed, KILLS_PER_TRIAL)
                    verdict = difference(result(images / f"end_{seed}"), expected) or "identical"
                except RuntimeError as error:
                    done, verdict = [], str(error)
                failed += verdict != "identical"
                seconds = round(time.monotonic() - start, 1)
                rows.append([name, seed, KILLS_PER_TRIAL, " / ".join(done), verdict, seconds])
                print(*rows[-1], sep=", ", flush=True)
                if args.out:
                    write(rows, args.out)
    print(f"{len(rows) - failed} of {len(rows)} trials ended identical")
    raise SystemExit(bool(failed))


def write(rows: list[list[Any]], path: Path) -> None:
    """Writes the table."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["strategy", "seed", "kills", "before each resume", "end", "seconds"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
