"""Every config loads, names only things that exist, agrees with itself and builds its model."""

import functools
import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope
from mmengine.runner import Runner

from mmsrnas import registry

ROOT = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(p for p in ROOT.rglob("*.py") if "_base_" not in p.parts)
BASES = sorted((ROOT / "_base_").rglob("*.py"))

# Whose durations are in docs/experiments/hnas-reduced.md, or in the abstract of HiNAS.
MEASURED = {
    "hnas_search_reduced_x2_bsds500.py",
    "hnas_search_tiny_x2_photographs.py",
    *(path.name for path in ROOT.glob("hinas/hinas_*search*.py") if "paths" not in path.name),
}

# What the value of a key is, wherever the key stands.
KINDS = {
    "arch_optimizer_hook": registry.HOOKS,
    "complexity_loss": registry.MODELS,
    "constructor": registry.OPTIM_WRAPPER_CONSTRUCTORS,
    "custom_hooks": registry.HOOKS,
    "dataset": registry.DATASETS,
    "datasets": registry.DATASETS,
    "inference_pipeline": registry.TRANSFORMS,
    "log_processor": registry.LOG_PROCESSORS,
    "metrics": registry.METRICS,
    "model": registry.MODELS,
    "optim_wrapper": registry.OPTIM_WRAPPERS,
    "optimizer": registry.OPTIMIZERS,
    "param_scheduler": registry.PARAM_SCHEDULERS,
    "pipeline": registry.TRANSFORMS,
    "runner_type": registry.RUNNERS,
    "sampler": registry.DATA_SAMPLERS,
    "space": registry.TASK_UTILS,
    "test_cfg": registry.LOOPS,
    "test_evaluator": registry.EVALUATORS,
    "test_pipeline": registry.TRANSFORMS,
    "train_cfg": registry.LOOPS,
    "val_cfg": registry.LOOPS,
    "val_evaluator": registry.EVALUATORS,
    "val_pipeline": registry.TRANSFORMS,
    "vis_backends": registry.VISBACKENDS,
    "visualizer": registry.VISUALIZERS,
}


def named_types(value: object, kind: Registry | None = None) -> Iterator[tuple[str, Registry]]:
    """Every name that the runner will look up, with the registry where it will do so."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from named_types(item, kind)
    elif isinstance(value, dict):
        if "type" in value:
            yield value["type"], kind
        for key, item in value.items():
            if key in ("clip_grad", "cost"):  # their types are no registered names
                continue
            if key in ("constructor", "runner_type"):
                yield item, KINDS[key]
            elif key == "default_hooks":  # its keys are names of hooks
                yield from named_types(list(item.values()), registry.HOOKS)
            else:
                # All of a model is in one registry, also what it calls train_cfg.
                in_model = kind is registry.MODELS and key != "space"
                yield from named_types(item, kind if in_model else KINDS.get(key, kind))


def values_of(value: object, key: str) -> Iterator[object]:
    """The values of a key, wherever it stands."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from values_of(item, key)
    elif isinstance(value, dict):
        if key in value:
            yield value[key]
        for item in value.values():
            yield from values_of(item, key)


def parametrize(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=[str(p.relative_to(ROOT)) for p in paths])


@functools.cache
def loaded(path: Path) -> dict:
    """The contents of a config, read once for all tests."""
    return Config.fromfile(path).to_dict()


def depth_of(path: Path) -> int:
    """How many files a config inherits from, one after the other."""
    bases = [(path.parent / base).resolve() for base in Config._get_base_files(str(path))]
    return max((1 + depth_of(base) for base in bases), default=0)


@parametrize(CONFIGS)
def test_inherits_at_most_three_deep(path):
    assert depth_of(path) <= 3


@parametrize(CONFIGS)
def test_first_line_says_what_runs_and_how_long(path):
    """Only durations that somebody measured may do without the word."""
    first = path.open().readline()
    assert first.startswith(
        ("# Trains ", "# Searches ", "# Fine-tunes ", "# Adapts ", "# Selects ")
    ), first
    assert re.search(r": .*\b(minute|hour|day|week)s?\b", first), first
    assert ("(estimate)" in first) == (path.name not in MEASURED)


@parametrize(CONFIGS + BASES)
def test_overrides_by_name_and_not_by_position(path):
    assert not re.search(r"(pipeline|custom_hooks)\[", path.read_text())


@parametrize(CONFIGS + BASES)
def test_names_exist(path):
    init_default_scope("mmagic")
    for name, kind in named_types(loaded(path)):
        assert kind is not None, f"no registry is known for type={name!r}: add its key to KINDS"
        assert kind.get(name) is not None, f"{name} is not in the registry {kind.name!r}"


@parametrize(CONFIGS + BASES)
def test_scales_agree(path):
    cfg = loaded(path)
    data = {key: value for key, value in cfg.items() if "dataloader" in key or "evaluator" in key}
    scales = {*values_of(data, "scale"), *values_of(data, "crop_border")}
    scales |= {*values_of(cfg.get("model", {}), "upscale_factor")}
    if "official" in path.name:  # the released searches validate with a wider border
        scales -= {scale + 6 for scale in scales}
    assert len(scales) <= 1
    for patch, scale in product(values_of(cfg, "patch_size"), scales):
        assert patch % scale == 0


@parametrize(CONFIGS + BASES)
def test_eps_of_adam_suits_the_range_of_the_loss(path):
    """1e-8 as released; the losses of DLSR, HNAS and DRN were on 0..255 there, ours on [0, 1]."""
    cfg = loaded(path)
    policy = list(values_of(list(values_of(cfg, "policy")), "optimizer"))
    for optimizer in values_of(cfg, "optimizer"):
        if "Adam" in optimizer["type"]:
            released = "hinas" in path.name and "paths" not in path.name
            on_released_range = optimizer in policy or released
            assert optimizer.get("eps") == (1e-8 if on_released_range else 1e-8 / 255)


@parametrize(list({repr(loaded(path)["model"]): path for path in CONFIGS}.values()))
def test_model_builds(path):
    """Each model once: many configs differ in their data alone. Searches alone need values."""
    init_default_scope("mmagic")
    with torch.device("cpu" if "search" in path.name else "meta"):
        model = registry.MODELS.build(loaded(path)["model"])
    assert sum(p.numel() for p in model.parameters()) > 0


@parametrize(CONFIGS)
def test_search_has_separate_images_for_the_architecture(path):
    cfg = Config(loaded(path))
    for hook in cfg.get("default_hooks", {}).values():
        if not hook.get("dataloader"):
            continue
        weights, architecture = cfg.train_dataloader.dataset, hook.dataloader.dataset
        folders = [(data.data_root, data.data_prefix.gt) for data in (weights, architecture)]
        if folders[0] == folders[1]:
            assert weights.index_range[1] <= architecture.index_range[0]


def test_training_keeps_the_best_checkpoint(paired_images, tmp_path):
    """The metrics of validation have a prefix, which `save_best` has to cope with."""
    cfg = Config.fromfile(ROOT / "dlsr/dlsr_tiny_x2_div2k.py")
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.num_workers = 0
        loader.dataset.data_root = str(paired_images)
        loader.dataset.data_prefix = {"img": "LR_bicubic/X{scale}", "gt": "HR"}
    cfg.train_dataloader.batch_size = 2
    cfg.train_dataloader.dataset.patch_size = 32
    cfg.val_dataloader.dataset.index_range = (0, 2)
    cfg.train_cfg.update(max_iters=2, val_interval=1)
    cfg.default_hooks.checkpoint.interval = 2
    run = tmp_path / "run"
    cfg.work_dir, cfg.log_level, cfg.experiment_name = str(run), "ERROR", "keeps_best"
    Runner.from_cfg(cfg).train()
    assert (run / "iter_2.pth").is_file()
    assert len(list(run.glob("best_DIV2K_PSNR_iter_*.pth"))) == 1
    assert not list(run.rglob("*.png"))
    scalars = next(run.rglob("scalars.json")).read_text().splitlines()
    validations = [record for record in map(json.loads, scalars) if "DIV2K/PSNR" in record]
    assert [record["step"] for record in validations] == [1, 2]
