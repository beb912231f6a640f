"""A search of HNAS that takes seconds, on the images of ``tiny_search``."""

import os
from pathlib import Path

import tiny_search
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmsrnas.models import HNASSupernet
from mmsrnas.registry import MODELS, RUNNERS


@MODELS.register_module()
class UnnormalisedHNASSupernet(HNASSupernet):
    """A supernet whose features do not depend on the other images of a batch."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        for parent in list(self.modules()):
            for name, child in parent.named_children():
                if isinstance(child, torch.nn.modules.batchnorm._BatchNorm):
                    setattr(parent, name, torch.nn.Identity())


WEIGHTS = [f"generator.{name}" for name in ("stem", "cells", "upsampling_cells", "conv_last")]


def dataloader(folder, index_range, workers=0, **kwargs) -> dict:
    cfg = tiny_search.dataloader(folder, index_range, workers, **kwargs)
    cfg["dataset"]["pipeline"][2]["gt_patch_size"] = 24
    return cfg


def reward(**kwargs) -> dict:
    """The reward of the search, as entries of ``train_cfg``."""
    return dict(reward=kwargs)


def config(
    folder,
    run="rl",
    iters=16,
    workers=0,
    val_interval=None,
    save_interval=2,
    loop=None,
    supernet=None,
    optim_wrapper=None,
    hooks=None,
    **kwargs,
) -> dict:
    """Config of a search on the images of ``folder``; ``kwargs`` override its keys."""
    folder = Path(folder)
    hooks = [dict(type="mmsrnas.ExactResumeHook")] if hooks is None else hooks
    generator = dict(
        type="mmsrnas.HNASSupernet",
        num_cells=3,
        mid_channels=3,
        num_nodes=2,
        cost=dict(hr_size=(16, 16)),
        derived_mid_channels=4,
    )
    cfg = dict(
        default_scope="mmagic",
        work_dir=str(folder / run),
        model=dict(
            type="BaseEditModel",
            generator=generator | (supernet or {}),
            pixel_loss=dict(type="L1Loss"),
            data_preprocessor=dict(
                type="mmsrnas.TinyPreprocessor", mean=[0.0] * 3, std=[255.0] * 3
            ),
        ),
        train_dataloader=dataloader(folder, (0, 8), workers),
        train_cfg=dict(
            type="mmsrnas.RLSearchLoop",
            max_iters=iters,
            policy_dataloader=dataloader(folder, (8, 12), workers),
            warmup_iters=1,
            weight_iters=2,
            policy_iters=3,
            num_samples=3,
            num_references=2,
        )
        | reward()
        | (loop or {}),
        optim_wrapper=dict(
            constructor="MultiOptimWrapperConstructor",
            weights=dict(
                type="OptimWrapper", modules=WEIGHTS, optimizer=dict(type="Adam", lr=1e-3)
            ),
            policy=dict(
                type="OptimWrapper",
                modules="generator.policy",
                optimizer=dict(type="Adam", lr=0.01),
                clip_grad=dict(max_norm=5),
            ),
        )
        | (optim_wrapper or {}),
        param_scheduler=dict(
            weights=[dict(type="CosineAnnealingLR", by_epoch=False, T_max=50)],
            policy=[dict(type="ConstantLR", by_epoch=False, factor=0.5, end=9)],
        ),
        default_hooks=dict(
            logger=dict(type="LoggerHook", interval=1),
            checkpoint=dict(type="mmsrnas.CheckpointHook", by_epoch=False, interval=save_interval),
            checkpoint_fit=dict(type="mmsrnas.CheckpointFitHook"),
        ),
        custom_hooks=hooks,
        log_processor=dict(type="LogProcessor", by_epoch=False),
        randomness=dict(seed=3),
        log_level="ERROR",
    )
    if val_interval:
        cfg["train_cfg"]["val_interval"] = val_interval
        cfg["val_cfg"] = dict(type="MultiValLoop")
        cfg["val_dataloader"] = tiny_search.dataloader(
            folder, (0, 2), augment=False, sampler=dict(type="DefaultSampler", shuffle=False)
        )
        cfg["val_evaluator"] = dict(
            type="Evaluator", metrics=[dict(type="mmsrnas.PSNR", prefix="tiny")]
        )
        cfg["default_hooks"]["checkpoint"].update(save_best="auto", rule="greater")
    return cfg | kwargs


def runner(folder, **kwargs) -> Runner:
    cfg = Config(config(folder, **kwargs))
    cfg.experiment_name = f"{Path(folder).name}_{os.urandom(4).hex()}"
    return RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)


def search(folder, **kwargs) -> None:
    """Searches to the end."""
    tiny_search.quicken()
    runner(folder, **kwargs).train()
