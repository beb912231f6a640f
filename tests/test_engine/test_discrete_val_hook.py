"""A search of HiNAS that takes seconds, with everything that its recipe hooks on."""

import os
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmsrnas.engine import DiscreteValHook
from mmsrnas.engine.hooks.discrete_val_hook import _unchanged
from mmsrnas.models import HiNASSupernet


@pytest.fixture(scope="module")
def gray_images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gray")
    rng = np.random.default_rng(0)
    for i in range(6):
        coarse = rng.integers(0, 256, (6, 6), np.uint8)
        image = cv2.resize(coarse, (40, 32), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{i}.png"), image)
    return folder


def loader(folder, index_range, **kwargs):
    train = "batch_size" in kwargs
    noise = dict(type="mmsrnas.AddGaussianNoise", sigma=[30, 50], seed=None if train else 0)
    pipeline = [
        dict(type="LoadImageFromFile", key="gt", color_type="grayscale"),
        *([dict(type="Crop", keys=["gt"], crop_size=(16, 16))] if train else []),
        noise,
        dict(type="PackInputs"),
    ]
    return (
        dict(
            num_workers=0,
            sampler=dict(type="InfiniteSampler" if train else "DefaultSampler", shuffle=train),
            dataset=dict(
                type="mmsrnas.PairedImageDataset",
                scale=1,
                data_root=str(folder),
                data_prefix=dict(img="", gt=""),
                index_range=index_range,
                pipeline=pipeline,
            ),
        )
        | kwargs
    )


def search(folder, work_dir, iters, discrete=True, resume=False, **supernet):
    arch = dict(
        type="mmsrnas.ArchOptimizerHook",
        optimizer=dict(type="Adam", lr=0.05),
        mode="bilevel",
        warmup_iters=1,
        dataloader=loader(folder, (2, 4), batch_size=2),
        complexity_loss=dict(type="mmsrnas.ComplexityLoss", loss_weight=0.1),
    )
    hooks = [dict(type="mmsrnas.DiscreteValHook", num_batches=2)] if discrete else []
    cfg = Config(
        dict(
            default_scope="mmagic",
            work_dir=str(work_dir),
            model=dict(
                type="BaseEditModel",
                generator=dict(
                    type="mmsrnas.HiNASSupernet",
                    task="denoise",
                    upscale_factor=1,
                    in_channels=1,
                    num_cells=2,
                    num_nodes=1,
                    mid_channels=2,
                )
                | supernet,
                pixel_loss=dict(type="MSELoss"),
                data_preprocessor=dict(type="DataPreprocessor", mean=[0.0], std=[255.0]),
            ),
            train_dataloader=loader(folder, (0, 2), batch_size=2),
            train_cfg=dict(type="IterBasedTrainLoop", max_iters=iters, val_interval=2),
            val_cfg=dict(type="MultiValLoop"),
            val_dataloader=loader(folder, (4, 6)),
            val_evaluator=dict(
                type="Evaluator", metrics=[dict(type="mmsrnas.PSNR", prefix="tiny")]
            ),
            optim_wrapper=dict(
                constructor="mmsrnas.SearchOptimWrapperConstructor",
                optimizer=dict(type="SGD", lr=0.05, momentum=0.9),
            ),
            param_scheduler=dict(
                type="mmsrnas.CosinePolyLR", by_epoch=False, iters_per_epoch=1, num_epochs=6, end=6
            ),
            default_hooks=dict(
                logger=dict(type="LoggerHook", interval=1),
                checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=2),
            ),
            custom_hooks=[arch, *hooks, dict(type="mmsrnas.ExactResumeHook")],
            log_processor=dict(type="LogProcessor", by_epoch=False),
            randomness=dict(seed=3),
            log_level="ERROR",
            resume=resume,
            experiment_name=os.urandom(8).hex(),
        )
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def states(runner):
    return {k: v.clone() for k, v in runner.model.state_dict().items()}


def assert_equal(a, b):
    assert a.keys() == b.keys()
    assert [k for k in a if not torch.equal(a[k], b[k])] == []


def test_discrete_validation_is_logged_and_changes_nothing(gray_images, tmp_path):
    with_hook = search(gray_images, tmp_path / "with", 4)
    scalars = with_hook.message_hub.log_scalars
    soft, hard = (scalars[f"val/{name}"].current() for name in ("tiny/PSNR", "discrete/tiny/PSNR"))
    assert soft != hard
    assert not with_hook.model.generator.discrete
    without = search(gray_images, tmp_path / "without", 4, discrete=False)
    assert "val/discrete/tiny/PSNR" not in without.message_hub.log_scalars
    assert_equal(states(with_hook), states(without))


def test_resumed_search_equals_the_uninterrupted_one(gray_images, tmp_path):
    whole = states(search(gray_images, tmp_path / "whole", 4, with_cp=True))
    search(gray_images, tmp_path / "parts", 2, with_cp=True)
    parts = search(gray_images, tmp_path / "parts", 4, resume=True, with_cp=True)
    assert parts.iter == 4
    assert_equal(states(parts), whole)


def test_search_moves_architecture_and_weights(gray_images, tmp_path):
    runner = search(gray_images, tmp_path, 3)
    net = runner.model.generator
    possible = ~net.impossible
    assert net.alpha.abs().min() > 0
    assert net.beta[possible].abs().min() > 0
    assert net.beta[net.impossible].abs().max() == 0
    assert net.genotype().mid_channels == 2


def test_statistics_and_mode_are_restored():
    net = HiNASSupernet(
        "denoise", 1, 1, num_cells=1, num_nodes=1, mid_channels=2, width_multipliers=[1, 2]
    )
    before = {k: v.clone() for k, v in net.state_dict().items()}
    momenta = [m.momentum for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with _unchanged(net):
        net.discrete = True
        for m in net.modules():
            if isinstance(m, torch.nn.BatchNorm2d):
                m.momentum = 0.5
        net(torch.rand(1, 1, 8, 8))
        net.eval()
    assert_equal(before, net.state_dict())
    assert net.training and not net.discrete
    assert momenta == [m.momentum for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]


def test_other_supernets_are_refused(gray_images):
    from types import SimpleNamespace

    model = torch.nn.Module()
    model.generator = torch.nn.Module()
    model.generator.arch_parameters = lambda: iter(())
    model.generator.genotype = lambda: None
    with pytest.raises(TypeError, match="has no attribute `discrete`"):
        DiscreteValHook().before_train(SimpleNamespace(model=model))


def test_persistent_workers_of_the_training_data_are_no_hindrance(gray_images):
    """The statistics are estimated in this process, where a loader keeps no workers."""
    cfg = Config(dict(train_dataloader=loader(gray_images, (0, 2), batch_size=2, num_workers=2)))
    cfg.train_dataloader.persistent_workers = True
    supernet = torch.nn.BatchNorm2d(1)
    editor = SimpleNamespace(
        data_preprocessor=lambda batch, _: {"inputs": batch["inputs"][0][None]}
    )
    runner = SimpleNamespace(
        cfg=cfg, seed=0, model=editor, build_dataloader=Runner.build_dataloader
    )
    DiscreteValHook(num_batches=1)._estimate_statistics(runner, supernet)
    assert supernet.running_mean.item() != 0
