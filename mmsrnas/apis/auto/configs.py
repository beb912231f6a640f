"""The configs of a plan: ordinary ones, as plain data."""

from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmsrnas.files import atomic_write

__all__ = [
    "BATCH",
    "LR_PATCH",
    "Values",
    "data",
    "editor",
    "optimizer",
    "path_search",
    "runtime",
    "schedule",
    "training",
    "write_config",
]

LR_PATCH = 24
BATCH = 8
JUDGES = 16
"""Images that judge architectures, evenly taken from their part of the photographs."""

Values = dict[str, Any]
"""Content of a config."""


def write_config(path: Path, comment: str, values: Values) -> None:
    """Writes a config, unless it is there: it may have been edited.

    Args:
        path: The file.
        comment: First line.
        values: Content.
    """
    if path.exists():
        return
    with atomic_write(path) as part:
        part.write_text(f"# {comment}\n{Config(values).pretty_text}")


def runtime() -> Values:
    """Checkpoints, logs and the checks of a run."""
    return dict(
        default_scope="mmagic",
        default_hooks=dict(
            timer=dict(type="IterTimerHook"),
            logger=dict(type="LoggerHook", log_metric_by_epoch=False),
            param_scheduler=dict(type="ParamSchedulerHook"),
            sampler_seed=dict(type="DistSamplerSeedHook"),
            checkpoint_fit=dict(type="mmsrnas.CheckpointFitHook"),
            exact_resume=dict(type="mmsrnas.ExactResumeHook"),
            finite_check=dict(type="mmsrnas.FiniteCheckHook"),
        ),
        env_cfg=dict(
            cudnn_benchmark=False, mp_cfg=dict(mp_start_method="fork", opencv_num_threads=1)
        ),
        log_level="INFO",
        log_processor=dict(type="LogProcessor", window_size=10, by_epoch=False),
        load_from=None,
        resume=False,
        visualizer=dict(
            type="ConcatImageVisualizer",
            vis_backends=[dict(type="LocalVisBackend")],
            fn_key="gt_path",
            img_keys=["gt_img", "input", "pred_img"],
            bgr2rgb=True,
        ),
    )


def data(root: Path, scale: int, sigma: float, prefix: str, num_judges: int) -> Values:
    """Loaders and metrics of pairs, or of images with noise at scale 1.

    Args:
        root: Folder with the parts.
        scale: Ratio of HR to LR size.
        sigma: Standard deviation of the noise, for images in 0..255.
        prefix: Name of the metrics.
        num_judges: Images of the part that judges.
    """
    augmentation = [
        dict(type="mmsrnas.RandomPatch"),
        dict(type="Flip", keys=["img", "gt"], flip_ratio=0.5, direction="horizontal"),
        dict(type="RandomTransposeHW", keys=["img", "gt"], transpose_ratio=0.5),
    ]
    train = _loader(_dataset(root / "weights", scale, sigma, augmentation), BATCH)
    train["dataset"]["patch_size"] = LR_PATCH * scale
    val = _loader(_dataset(root / "architecture", scale, sigma, []))
    val["dataset"]["indices"] = list(range(0, num_judges, -(-num_judges // JUDGES)))
    color = dict(crop_border=scale, convert_to="Y") if scale > 1 else {}
    metrics = [dict(type=f"mmsrnas.{name}", prefix=prefix, **color) for name in ("PSNR", "SSIM")]
    return dict(
        train_dataloader=train,
        val_dataloader=val,
        val_cfg=dict(type="MultiValLoop"),
        val_evaluator=dict(type="Evaluator", metrics=metrics),
        test_dataloader=[_loader(_dataset(root / "test", scale, sigma, []))],
        test_cfg=dict(type="MultiTestLoop"),
        test_evaluator=[dict(type="Evaluator", metrics=metrics)],
    )


def _dataset(root: Path, scale: int, sigma: float, augmentation: list[Values]) -> Values:
    keys = ["img", "gt"] if scale > 1 else ["gt"]
    pipeline = [dict(type="mmsrnas.LoadImageFromFile", key=key) for key in keys]
    pipeline += [step | {"keys": keys} if "keys" in step else step for step in augmentation]
    names = dict(
        data_prefix=dict(img="LR_bicubic/X{scale}", gt="HR"),
        filename_tmpl=dict(img="{}x{scale}", gt="{}"),
    )
    if scale == 1:
        names = dict(data_prefix=dict(img="HR", gt="HR"))
        seed = {} if augmentation else {"seed": 0}
        pipeline.append(dict(type="mmsrnas.AddGaussianNoise", sigma=sigma, **seed))
    return dict(
        type="mmsrnas.PairedImageDataset",
        scale=scale,
        data_root=root.resolve().as_posix(),
        **names,
        pipeline=[*pipeline, dict(type="PackInputs")],
        test_mode=not augmentation,
    )


def _loader(dataset: Values, batch_size: int | None = None) -> Values:
    if batch_size is None:
        sampler = dict(type="DefaultSampler", shuffle=False)
        return dict(num_workers=0, persistent_workers=False, sampler=sampler, dataset=dataset)
    sampler = dict(type="InfiniteSampler", shuffle=True)
    return dict(num_workers=0, batch_size=batch_size, sampler=sampler, dataset=dataset)


def editor(model: Values) -> Values:
    """Config of an editor, with what all of them share."""
    return dict(
        pixel_loss=dict(type="L1Loss", loss_weight=1.0, reduction="mean"),
        train_cfg={},
        test_cfg={},
        data_preprocessor=dict(type="DataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3),
        **model,
    )


def optimizer(generator: Values, lr: float) -> Values:
    """Adam; what makes the image learns at a sixteenth of the rate.

    A step of Adam moves every weight by the rate, whatever the gradient. At the end of a network
    that moves the image by more than all the detail that it lacks. A network that adds no
    interpolation makes the whole image there, and has one rate.

    Args:
        generator: Config of the generator.
        lr: Learning rate.
    """
    # eps as for losses on 0..255, on which the published recipes are defined.
    adam = dict(type="Adam", lr=lr, betas=(0.9, 0.999), eps=1e-8 / 255)
    wrapper = dict(type="OptimWrapper", optimizer=adam, clip_grad=dict(max_norm=1))
    ends: tuple[str, ...] = ()
    if "Elastic" in generator["type"]:
        ends = ("head", "anchor")
    elif "Compact" in generator["type"]:
        ends = (f"body.{2 * (generator['num_convs'] + 1)}", "anchor")
    slow = {f"generator.{name}.": dict(lr_mult=1 / 16) for name in ends}
    return wrapper | dict(paramwise_cfg=dict(custom_keys=slow) if slow else None)


def training(model: Values, iters: int, lr: float, seed: int) -> Values:
    """A training with a short warm-up and a cosine, from features of unit variance.

    Without them plain chains learn nothing in a short training.

    Args:
        model: Config of the editor.
        iters: Iterations.
        lr: Learning rate.
        seed: Of the run.
    """
    return dict(
        _base_=["runtime.py", "data.py"],
        model=editor(model),
        optim_wrapper=optimizer(model["generator"], lr),
        randomness=dict(seed=seed),
        default_hooks=dict(
            logger=dict(interval=max(1, min(50, iters // 40))),
            unit_variance=dict(type="mmsrnas.UnitVarianceHook"),
            checkpoint=dict(
                type="mmsrnas.CheckpointHook",
                interval=max(1, iters // 10),
                by_epoch=False,
                max_keep_ckpts=2,
            ),
        ),
    ) | schedule(iters)


def path_search(values: Values) -> Values:
    """The training of a supernet whose networks run one at a time.

    Args:
        values: Config of a training.
    """
    hooks = values["default_hooks"] | {"genotype": dict(type="mmsrnas.GenotypeHook")}
    # A step trains some of the operations; distributed training must not wait for the others.
    return values | {"default_hooks": hooks, "find_unused_parameters": True}


def schedule(iters: int) -> Values:
    """What depends on the number of iterations."""
    start = max(1, iters // 20)
    ramp = dict(type="LinearLR", by_epoch=False, start_factor=0.1, end=start)
    cosine = dict(type="CosineAnnealingLR", by_epoch=False, begin=start, end=iters, eta_min=1e-6)
    return dict(
        param_scheduler=[ramp, cosine],
        train_cfg=dict(type="IterBasedTrainLoop", max_iters=iters, val_interval=iters),
    )
