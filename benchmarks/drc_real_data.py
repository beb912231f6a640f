"""The three stages of DRC on real images, small enough for minutes on one core.

Trains a small DRN x2 with and without the closed loop, searches channel numbers, prunes to half of
the Multi-Adds with searched, uniform and random widths, fine-tunes, and prints a table:

    python benchmarks/drc_real_data.py --train BSDS500/train BSDS500/test --bench bench

Started again with the same options, it goes on after the last finished run.
"""

import argparse
import json
from pathlib import Path

import cv2
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmsrnas.apis import prune
from mmsrnas.datasets import imresize
from mmsrnas.datasets.resize import mod_crop
from mmsrnas.files import atomic_write
from mmsrnas.pruning import WidthCost, find_sites

ROOT = Path(__file__).parents[1]
SCALE = 2
BUDGET_SHARE = 0.5
SETS = ("Set5", "Set14")


def write_data(sources: list[Path], folder: Path) -> None:
    """HR images and their bicubic LR images, as PNG."""
    if folder.is_dir():
        return
    with atomic_write(folder) as partial:
        _write_pairs(sources, partial)


def _write_pairs(sources: list[Path], partial: Path) -> None:
    for name in ("HR", f"LR_bicubic/X{SCALE}"):
        (partial / name).mkdir(parents=True)
    files = sorted(file for source in sources for file in source.glob("*.jpg"))
    for index, file in enumerate(files):
        image = mod_crop(cv2.imread(str(file)), SCALE)
        cv2.imwrite(str(partial / f"HR/{index:04}.png"), image)
        lr = imresize(image, 1 / SCALE)
        cv2.imwrite(str(partial / f"LR_bicubic/X{SCALE}/{index:04}x{SCALE}.png"), lr)


class TestResult(Hook):
    """Keeps the metrics, which mmagic's test loop does not return."""

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Takes the metrics of all test sets."""
        self.metrics = {key: float(value) for key, value in metrics.items()}


class Experiment:
    """The runs of one seed."""

    def __init__(self, args: argparse.Namespace, seed: int) -> None:
        self.args, self.seed = args, seed
        self.folder = args.work_dir / f"seed{seed}"
        self.rows: dict[str, dict[str, float]] = {}

    def config(self, stage: str, iters: int, **model: object) -> Config:
        """A demo config on the images of this experiment."""
        cfg = Config.fromfile(ROOT / f"configs/demo/drc_{stage}_small_x2_photographs.py")
        images = len(list((self.args.work_dir / "data/HR").iterdir()))
        loaders, ranges = [cfg.train_dataloader], [(0, images)]
        if stage == "search":
            loaders.append(cfg.default_hooks.arch_optimizer.dataloader)
            ranges = [(0, images // 2), (images // 2, images)]
        for loader, index_range in zip(loaders, ranges, strict=True):
            loader.update(num_workers=0, persistent_workers=False, batch_size=8)
            loader.dataset.update(
                data_root=str(self.args.work_dir / "data"),
                data_prefix={"img": "LR_bicubic/X{scale}", "gt": "HR"},
                filename_tmpl={"img": "{}x{scale}", "gt": "{}"},
                index_range=index_range,
            )
        test = cfg.test_dataloader[0]
        test.num_workers = 0
        cfg.test_dataloader = [Config(test.to_dict())._cfg_dict for _ in SETS]
        cfg.test_evaluator = [Config(cfg.test_evaluator[0].to_dict())._cfg_dict for _ in SETS]
        for name, loader, evaluator in zip(
            SETS, cfg.test_dataloader, cfg.test_evaluator, strict=True
        ):
            loader.dataset.data_root = str(self.args.bench / name)
            for metric in evaluator.metrics:
                metric.prefix = name
        cfg.merge_from_dict({f"model.{key}": value for key, value in model.items()})
        cfg.train_cfg.max_iters = cfg.param_scheduler.T_max = iters
        cfg.default_hooks.checkpoint.update(interval=iters)
        cfg.randomness, cfg.log_level = {"seed": self.seed}, "ERROR"
        return cfg

    def run(self, name: str, cfg: Config) -> None:
        """Trains, and tests where the generator is a network; once."""
        file = self.folder / f"{name}.json"
        if not file.is_file():
            cfg.work_dir = str(self.folder / name)
            cfg.experiment_name = f"{self.folder.name}_{name}"
            runner = Runner.from_cfg(cfg)
            runner.train()
            supernet = hasattr(runner.model.generator, "arch_parameters")
            file.write_text(json.dumps({} if supernet else self.evaluate(runner)))
        self.rows[name] = json.loads(file.read_text())
        print(f"seed {self.seed}, {name}: {self.rows[name]}", flush=True)

    def evaluate(self, runner: Runner) -> dict[str, float]:
        """Test metrics and cost of a trained network."""
        net, result = runner.model.generator, TestResult()
        runner.register_hook(result)
        runner.test()
        params = sum(p.numel() for p in net.parameters())
        cost = WidthCost(net, find_sites(net)).full()
        return result.metrics | {"params": params, "multi_adds": cost / 1e9}

    def prune(self, name: str, checkpoint: Path, **widths: str | float) -> Path:
        """Prunes the full network; once."""
        folder = self.folder / f"{name}_pruned"
        if not (folder / "genotype.json").is_file():
            cfg = self.config("train", 1)
            options = {"num_batches": 4, "channels_per_step": 4, "seed": self.seed}
            prune(cfg, checkpoint, folder, **widths, **options)
        return folder

    def all(self) -> dict[str, dict[str, float]]:
        """All runs of this seed."""
        args = self.args
        self.run(
            "full, without loop", self.config("train", args.iters, **{"dual_loss.loss_weight": 0.0})
        )
        self.run("full, with loop", self.config("train", args.iters))
        full = self.folder / "full, with loop" / f"iter_{args.iters}.pth"
        self.run("search", self.config("search", args.search_iters, pretrained=str(full)))
        for name, widths in {
            "searched": {"genotype": str(self.folder / "search/genotype.json")},
            "uniform": {"uniform": BUDGET_SHARE},
            "random": {"random": BUDGET_SHARE},
        }.items():
            folder = self.prune(name, full, **widths)
            options = {
                "generator.genotype": str(folder / "genotype.json"),
                "pretrained": str(folder / "pruned.pth"),
            }
            self.run(name, self.config("finetune", args.tune_iters, **options))
        return self.rows


def main() -> None:
    """Runs the experiment for every seed and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="folders of JPEGs")
    parser.add_argument("--bench", type=Path, required=True, help="folder of Set5 and Set14")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/drc_real_data"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--iters", type=int, default=600)
    parser.add_argument("--search-iters", type=int, default=150)
    parser.add_argument("--tune-iters", type=int, default=300)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    write_data(args.train, args.work_dir / "data")
    results = [Experiment(args, seed).all() for seed in args.seeds]
    columns = [f"{name}/{metric}" for name in SETS for metric in ("PSNR", "LR_PSNR")]
    print(f"| network | params | Multi-Adds | {' | '.join(columns)} |")
    print(f"|---|---|---|{'---|' * len(columns)}")
    for name in results[0]:
        if not results[0][name]:
            continue  # the search
        rows = [result[name] for result in results]
        values = [" / ".join(f"{row[column]:.2f}" for row in rows) for column in columns]
        params = " / ".join(f"{row['params']:,}" for row in rows)
        cost = " / ".join(f"{row['multi_adds']:.2f}" for row in rows)
        print(f"| {name} | {params} | {cost} G | {' | '.join(values)} |")


if __name__ == "__main__":
    main()
