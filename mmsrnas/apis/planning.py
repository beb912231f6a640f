"""From photographs, a scale and hours to a folder of ordinary configs."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmsrnas.files import atomic_write
from mmsrnas.registry import MODELS

from .photographs import Inspection, inspect_photographs, prepare_pairs, split

__all__ = ["METHODS", "Plan", "plan"]

METHODS = ("dlsr",)
SCALES = (2, 3, 4)
SHARES = {"search": 0.3, "train": 0.32, "baseline": 0.32}
"""Share of the time that each training gets; the rest is for data, measurements and the test."""
LR_PATCH = 32
BATCH = 8
MIN_ITERS = 4


@dataclass(frozen=True)
class Plan:
    """A planned search.

    Attributes:
        folder: Folder of the plan: ``data``, ``configs`` and ``plan.json``.
        method: Method of the search.
        scale: Ratio of HR to LR size.
        crops: Number of crops by part.
        iters: Iterations of each training.
        seconds: Expected duration of each training.
        inspection: What the photographs are.
    """

    folder: Path
    method: str
    scale: int
    crops: dict[str, int]
    iters: dict[str, int]
    seconds: dict[str, float]
    inspection: Inspection

    def config(self, name: str) -> Path:
        """Path of a config: ``'search'``, ``'train'`` or ``'baseline'``."""
        return self.folder / "configs" / f"{name}.py"

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-serialisable data."""
        return asdict(self) | {"folder": str(self.folder)}

    def __str__(self) -> str:
        crops = ", ".join(f"{count} {part}" for part, count in self.crops.items())
        stages = ", ".join(
            f"{name} {self.iters[name]} iterations ({seconds / 60:.1f} min)"
            for name, seconds in self.seconds.items()
        )
        return f"{self.inspection}\nCrops: {crops}.\n{self.method} x{self.scale}: {stages}."


def plan(
    photos: str | Path,
    out: str | Path,
    scale: int = 2,
    method: str = "dlsr",
    hours: float = 1.0,
    mid_channels: int = 24,
    seed: int = 0,
    progress: bool = False,
) -> Plan:
    """Looks at photographs, splits and cuts them, and writes the configs of a search.

    The time of an iteration is measured, so the trainings take about ``hours`` on this machine. The
    configs are ordinary ones, to be edited: a config that is there already is kept.

    Args:
        photos: Folder of photographs.
        out: Folder of the plan.
        scale: Ratio of HR to LR size.
        method: Method of the search.
        hours: Time of all trainings together.
        mid_channels: Width of the search.
        seed: Of the split and of the trainings.
        progress: Show bars.

    Raises:
        FileNotFoundError: There is no photograph.
        ValueError: Too few photographs, or an argument that has no meaning.
    """
    if method not in METHODS:
        raise ValueError(f"--method: expected one of {', '.join(METHODS)}, got {method!r}.")
    if scale not in SCALES:
        raise ValueError(f"--scale: expected one of {', '.join(map(str, SCALES))}, got {scale}.")
    if not hours > 0:
        raise ValueError(f"--hours: expected a positive number, got {hours}.")
    out = Path(out)
    inspection = inspect_photographs(photos, LR_PATCH * scale, progress)
    parts = split(inspection.groups, seed)
    crops = prepare_pairs(photos, parts, out / "data", scale)
    folder = out / "configs"
    folder.mkdir(parents=True, exist_ok=True)
    init_default_scope("mmagic")
    generators = _generators(scale, mid_channels)
    known = out / "plan.json"
    stored = json.loads(known.read_text()) if known.is_file() else {}
    if stored.get("hours") == hours and set(stored.get("iters", ())) == set(SHARES):
        iters, seconds = stored["iters"], stored["seconds"]
    else:
        rates = {name: _seconds_per_iter(g, scale) for name, g in generators.items()}
        rates["search"] *= 2  # a step of the weights and one of the architecture
        iters = {
            name: max(MIN_ITERS, int(share * hours * 3600 / rates[name]))
            for name, share in SHARES.items()
        }
        seconds = {name: iters[name] * rates[name] for name in SHARES}
    _write(folder / "runtime.py", lambda: _runtime())
    _write(folder / "data.py", lambda: _data(out, scale, Path(photos).resolve().name))
    for name, generator in generators.items():
        _write(folder / f"{name}.py", lambda n=name, g=generator: _training(n, g, iters[n], seed))
    made = Plan(out, method, scale, crops, iters, seconds, inspection)
    with atomic_write(known) as path:
        path.write_text(json.dumps(made.to_dict() | {"hours": hours}, indent=2))
    return made


def _generators(scale: int, mid_channels: int) -> dict[str, dict[str, Any]]:
    return {
        "search": dict(
            type="mmsrnas.DLSRSupernet",
            upscale_factor=scale,
            mid_channels=mid_channels,
            num_cells=4,
        ),
        "train": dict(type="mmsrnas.DLSRNet", genotype="DLSR_TINY", upscale_factor=scale),
        "baseline": dict(
            type="EDSRNet",
            in_channels=3,
            out_channels=3,
            mid_channels=mid_channels,
            num_blocks=4,
            upscale_factor=scale,
        ),
    }


def _seconds_per_iter(generator: dict[str, Any], scale: int) -> float:
    """Time of a forward and a backward pass of a batch, the second of two."""
    network = MODELS.build(generator).train()
    images = torch.rand(BATCH, 3, LR_PATCH, LR_PATCH)
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        network(images).mean().backward()
        seconds = time.perf_counter() - start
    return seconds


def _write(path: Path, text: Callable[[], str]) -> None:
    if path.exists():
        return
    with atomic_write(path) as part:
        part.write_text(text())


def _runtime() -> str:
    return """# Checkpoints, logs and the checks of a run. For curves in a browser add
# dict(type="TensorboardVisBackend") to vis_backends and run `tensorboard --logdir`.
default_scope = "mmagic"
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", log_metric_by_epoch=False),
    param_scheduler=dict(type="ParamSchedulerHook"),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    checkpoint_fit=dict(type="mmsrnas.CheckpointFitHook"),
    exact_resume=dict(type="mmsrnas.ExactResumeHook"),
    finite_check=dict(type="mmsrnas.FiniteCheckHook"),
)
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method="fork", opencv_num_threads=1))
log_level = "INFO"
log_processor = dict(type="LogProcessor", window_size=10, by_epoch=False)
load_from = None
resume = False
vis_backends = [dict(type="LocalVisBackend")]
visualizer = dict(
    type="ConcatImageVisualizer",
    vis_backends=vis_backends,
    fn_key="gt_path",
    img_keys=["gt_img", "input", "pred_img"],
    bgr2rgb=True,
)
"""


def _data(out: Path, scale: int, prefix: str) -> str:
    root = (out / "data").resolve().as_posix()
    return f"""# Pairs cut from the photographs of '{prefix}': three parts, split by photograph.
scale = {scale}
data_root = {root!r}

train_dataloader = dict(
    batch_size={BATCH},
    num_workers=0,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        type="mmsrnas.PairedImageDataset",
        scale=scale,
        data_root=data_root + "/weights",
        data_prefix=dict(img="LR_bicubic/X{{scale}}", gt="HR"),
        filename_tmpl=dict(img="{{}}x{{scale}}", gt="{{}}"),
        patch_size={LR_PATCH} * scale,
        pipeline=[
            dict(type="mmsrnas.LoadImageFromFile", key="img"),
            dict(type="mmsrnas.LoadImageFromFile", key="gt"),
            dict(type="mmsrnas.RandomPatch"),
            dict(type="Flip", keys=["img", "gt"], flip_ratio=0.5, direction="horizontal"),
            dict(type="RandomTransposeHW", keys=["img", "gt"], transpose_ratio=0.5),
            dict(type="PackInputs"),
        ],
    ),
)
arch_dataset = dict(train_dataloader["dataset"], data_root=data_root + "/architecture")
arch_dataloader = dict(train_dataloader, dataset=arch_dataset)

val_dataloader = None
val_evaluator = None
val_cfg = None

test_cfg = dict(type="MultiTestLoop")
test_dataloader = [
    dict(
        num_workers=0,
        persistent_workers=False,
        sampler=dict(type="DefaultSampler", shuffle=False),
        dataset=dict(
            type="mmsrnas.PairedImageDataset",
            scale=scale,
            data_root=data_root + "/test",
            data_prefix=dict(img="LR_bicubic/X{{scale}}", gt="HR"),
            filename_tmpl=dict(img="{{}}x{{scale}}", gt="{{}}"),
            pipeline=[
                dict(type="mmsrnas.LoadImageFromFile", key="img"),
                dict(type="mmsrnas.LoadImageFromFile", key="gt"),
                dict(type="PackInputs"),
            ],
            test_mode=True,
        ),
    )
]
test_evaluator = [
    dict(
        type="Evaluator",
        metrics=[
            dict(type="mmsrnas.PSNR", crop_border=scale, convert_to="Y", prefix={prefix!r}),
            dict(type="mmsrnas.SSIM", crop_border=scale, convert_to="Y", prefix={prefix!r}),
        ],
    )
]
"""


def _training(name: str, generator: dict[str, Any], iters: int, seed: int) -> str:
    """Text of the config of a search or training."""
    what = {
        "search": "Searches a DLSR",
        "train": "Trains the network that was found",
        "baseline": "Trains an EDSR, what the network has to beat",
    }[name]
    interval = max(1, iters // 4)
    cfg = Config(
        dict(
            model=dict(
                type="BaseEditModel",
                generator=generator,
                pixel_loss=dict(type="L1Loss", loss_weight=1.0, reduction="mean"),
                train_cfg={},
                test_cfg={},
                data_preprocessor=dict(type="DataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3),
            ),
            optim_wrapper=dict(
                constructor="mmsrnas.SearchOptimWrapperConstructor"
                if name == "search"
                else "DefaultOptimWrapperConstructor",
                type="OptimWrapper",
                optimizer=dict(type="Adam", lr=2e-3, betas=(0.9, 0.999), eps=1e-8 / 255),
                clip_grad=dict(max_norm=1),
            ),
            param_scheduler=[
                dict(type="LinearLR", by_epoch=False, start_factor=0.1, end=max(1, iters // 20)),
                dict(
                    type="CosineAnnealingLR",
                    by_epoch=False,
                    begin=max(1, iters // 20),
                    end=iters,
                    eta_min=1e-5,
                ),
            ],
            train_cfg=dict(type="IterBasedTrainLoop", max_iters=iters),
            randomness=dict(seed=seed),
        )
    )
    hooks = f"""default_hooks = dict(
    logger=dict(interval={max(1, min(50, iters // 40))}),
    checkpoint=dict(
        type="mmsrnas.CheckpointHook", interval={interval}, by_epoch=False, max_keep_ckpts=2
    ),
"""
    if name == "search":
        hooks += f"""    arch_optimizer=dict(
        type="mmsrnas.ArchOptimizerHook",
        optimizer=dict(type="Adam", lr=2e-2, betas=(0.5, 0.999), eps=1e-8 / 255),
        mode="mixed",
        warmup_iters={iters // 4},
        dataloader=_base_.arch_dataloader,
        complexity_loss=dict(type="mmsrnas.ComplexityLoss", loss_weight=0.01),
    ),
    genotype=dict(type="mmsrnas.GenotypeHook"),
"""
    bases = '_base_ = ["runtime.py", "data.py"]'
    return f"# {what}.\n{bases}\n\n{cfg.pretty_text.rstrip()}\n{hooks})\n"
