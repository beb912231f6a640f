"""A search that takes seconds: a supernet of four convolutions on images of 40x40 pixels."""

import mmsrnas  # noqa: F401  (repairs the stack before mmagic is imported)

# isort: split
import importlib
import multiprocessing
import os
import signal
import time
from pathlib import Path

import cv2
import mmengine
import numpy as np
import torch
import torch.nn.functional as F
from mmagic.models.data_preprocessors import DataPreprocessor
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from mmsrnas.engine.hooks import genotype_hook
from mmsrnas.engine.hooks.checkpoint_hook import SIGNALS
from mmsrnas.genotypes import DLSR_OPS, DLSRGenotype, DRCGenotype
from mmsrnas.models import DRNNet
from mmsrnas.pruning import ChannelSelector
from mmsrnas.registry import HOOKS, MODELS


@MODELS.register_module()
class TinySupernet(nn.Module):
    """One mixed layer of four candidates, three sets of weights for them, and a beta of two."""

    def __init__(self, norm=False, dropout=0.0, collapsed=None) -> None:
        super().__init__()
        self.candidates = nn.ModuleList(
            nn.Conv2d(3, 3, k, padding=k // 2, bias=False) for k in (1, 3, 5, 7)
        )
        self.norm = nn.BatchNorm2d(3) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.alpha = nn.Parameter(1e-3 * torch.randn(3, 4))
        self.beta = nn.Parameter(1e-3 * torch.randn(2))
        self.collapsed = collapsed

    def arch_parameters(self):
        yield "alpha", self.alpha
        yield "beta", self.beta

    reference_cost = 1.0

    def expected_cost(self):
        return (self.alpha.softmax(1) @ self.alpha.new_tensor([1.0, 9.0, 25.0, 49.0])).sum()

    def collapse(self):
        return self.collapsed

    def forward(self, x):
        x, share = self.dropout(x), self.beta.softmax(0)
        for weights in self.alpha.softmax(1):
            mixed = sum(w * op(x) for w, op in zip(weights, self.candidates, strict=True))
            x = share[0] * x + share[1] * self.norm(mixed)
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2)

    def genotype(self):
        ops = tuple(DLSR_OPS[i] for i in self.alpha.argmax(1).tolist())
        return DLSRGenotype(ops, connections=((0, 1),), mid_channels=4)


@MODELS.register_module()
class TinyPreprocessor(DataPreprocessor):
    """Images in the precision of the network."""

    def forward(self, data, training=False):
        data = super().forward(data, training)
        dtype = self.mean.dtype
        data["inputs"] = data["inputs"].to(dtype)
        if training:
            data["data_samples"].gt_img = data["data_samples"].gt_img.to(dtype)
        return data


class Killed(BaseException):
    """What stands in for SIGKILL: nothing handles it, and nothing is written afterwards."""


@HOOKS.register_module()
class KillHook(Hook):
    """Ends a run at a moment of an iteration.

    Args:
        iteration: Number of iterations that are done.
        moment: Method of a hook, e.g. ``'before_save_checkpoint'``.
        really: Kill the process, instead of raising ``Killed``.
    """

    def __init__(self, iteration: int, moment: str, really: bool = False) -> None:
        self.iteration = iteration
        self.really = really
        setattr(self, moment, self._kill)

    def _kill(self, runner, *args, **kwargs) -> None:
        if runner.iter == self.iteration:
            if self.really:
                os.kill(os.getpid(), signal.SIGKILL)
            raise Killed


@HOOKS.register_module()
class SignalHook(Hook):
    """Lets another process send a signal to one of the processes, and to its data workers."""

    def __init__(self, iteration: int, number: int, rank: int = 0) -> None:
        self.iteration = iteration
        self.number = number
        self.rank = rank

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if runner.iter != self.iteration - 1 or runner.rank != self.rank:
            return
        told = [os.getpid(), *(process.pid for process in multiprocessing.active_children())]
        sender = os.fork()
        if sender == 0:
            for process in told:
                os.kill(process, self.number)
            os._exit(0)
        os.waitpid(sender, 0)
        time.sleep(0.05)  # if a worker ends now, torch raises here


WRAPPER = dict(type="MMDistributedDataParallel", device_ids=None, find_unused_parameters=True)


def write_images(folder: Path, count: int = 12, size: int = 40) -> None:
    rng = np.random.default_rng(0)
    for name, side in (("lr", size // 2), ("hr", size)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            image = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / name / f"{i:02d}.png"), image)


def dataloader(folder: Path, index_range, num_workers=0, augment=True, **kwargs) -> dict:
    augmentation = [
        dict(type="PairedRandomCrop", gt_patch_size=16),
        dict(type="Flip", keys=["img", "gt"], flip_ratio=0.5, direction="horizontal"),
    ]
    pipeline = [
        dict(type="LoadImageFromFile", key="img", channel_order="rgb"),
        dict(type="LoadImageFromFile", key="gt", channel_order="rgb"),
        *(augmentation if augment else []),
        dict(type="PackInputs"),
    ]
    dataset = dict(
        type="mmsrnas.PairedImageDataset",
        scale=2,
        data_root=str(folder),
        data_prefix=dict(img="lr", gt="hr"),
        index_range=index_range,
        pipeline=pipeline,
        serialize_data=False,  # or mmengine collects garbage, half a second each time
    )
    sampler = dict(type="InfiniteSampler", shuffle=True)
    return dict(dataset=dataset, sampler=sampler, batch_size=2, num_workers=num_workers) | kwargs


def config(
    folder,
    run="run",
    iters=6,
    workers=0,
    augment=True,
    batch_size=2,
    val_interval=None,
    save_interval=2,
    supernet=None,
    arch=None,
    hooks=(),
    exact=True,
    **kwargs,
) -> dict:
    """Config of a search on the images of ``folder``; ``kwargs`` override its keys."""
    folder = Path(folder)
    arch_hook = dict(
        type="mmsrnas.ArchOptimizerHook",
        optimizer=dict(type="Adam", lr=0.05, betas=(0.5, 0.999)),
        dataloader=dataloader(folder, (8, 12), workers, augment, batch_size=batch_size),
    )
    exact_resume = [dict(type="mmsrnas.ExactResumeHook")] if exact else []
    cfg = dict(
        default_scope="mmagic",
        work_dir=str(folder / run),
        model=dict(
            type="BaseEditModel",
            generator=dict(type="mmsrnas.TinySupernet") | (supernet or {}),
            pixel_loss=dict(type="L1Loss"),
            data_preprocessor=dict(
                type="mmsrnas.TinyPreprocessor", mean=[0.0] * 3, std=[255.0] * 3
            ),
        ),
        train_dataloader=dataloader(folder, (0, 8), workers, augment, batch_size=batch_size),
        train_cfg=dict(type="IterBasedTrainLoop", max_iters=iters),
        optim_wrapper=dict(
            constructor="mmsrnas.SearchOptimWrapperConstructor",
            optimizer=dict(type="Adam", lr=0.01),
        ),
        param_scheduler=dict(type="CosineAnnealingLR", by_epoch=False, T_max=50),
        default_hooks=dict(
            logger=dict(type="LoggerHook", interval=1),
            checkpoint=dict(type="mmsrnas.CheckpointHook", by_epoch=False, interval=save_interval),
            checkpoint_fit=dict(type="mmsrnas.CheckpointFitHook"),
        ),
        custom_hooks=[arch_hook | (arch or {}), *exact_resume, *hooks],
        log_processor=dict(type="LogProcessor", by_epoch=False),
        randomness=dict(seed=3),
        log_level="ERROR",
    )
    if val_interval:
        cfg["train_cfg"]["val_interval"] = val_interval
        cfg["val_cfg"] = dict(type="MultiValLoop")
        cfg["val_dataloader"] = dataloader(
            folder,
            (0, 2),
            augment=augment,
            sampler=dict(type="DefaultSampler", shuffle=True),
            batch_size=1,
        )
        cfg["val_evaluator"] = dict(
            type="Evaluator", metrics=[dict(type="mmsrnas.PSNR", prefix="tiny")]
        )
        cfg["default_hooks"]["checkpoint"].update(save_best="auto", rule="greater")
    return cfg | kwargs


def runner(folder, **kwargs) -> Runner:
    from mmengine.config import Config

    cfg = Config(config(folder, **kwargs))
    cfg.experiment_name = f"{Path(folder).name}_{os.urandom(4).hex()}"
    return Runner.from_cfg(cfg)


def quicken() -> None:
    """Makes a process of tests quick: one thread, no formatting of configs, no drawings."""
    torch.set_num_threads(1)
    mmengine.config.config.FormatCode = unformatted
    genotype_hook.draw_genotype = undrawn


def unformatted(text, **_):
    """Stands in for yapf, by which mmengine formats the config for every checkpoint."""
    return text, True


def undrawn(genotype, path):
    """Stands in for the drawing, a third of a tiny search."""
    return np.zeros((4, 4, 3), np.uint8)


def killed(run) -> None:
    """Runs a search that a ``KillHook`` ends."""
    try:
        run()
    except Killed:
        for number in SIGNALS:  # the run listened for them
            signal.signal(number, signal.SIG_DFL)
    else:
        raise AssertionError("nothing ended the run")


def search(folder, **kwargs) -> None:
    """Searches to the end."""
    quicken()
    runner(folder, **kwargs).train()


def search_on_two(rank, folder, runs) -> None:
    """Searches as one of two processes; each saves the parameters that it ends with.

    Args:
        rank: Number of the process.
        folder: Folder of the images.
        runs: Options of each search by its name; ``of`` names its module, ``dtype`` its precision,
            ``wrapper`` more options of distributed training. A run without a search has a
            ``function`` of the folder, whose result is saved.
    """
    quicken()
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2")
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous_{'_'.join(runs)}", rank=rank, world_size=2
    )
    for run, options in runs.items():
        if function := options.pop("function", None):
            torch.save(function(folder), Path(folder) / f"{run}_{rank}.pth")
            continue
        wrapper = WRAPPER | options.pop("wrapper", {})
        search = built(folder, run, **options, launcher="pytorch", model_wrapper_cfg=wrapper)
        calls = counted(search.model.module.generator)
        model = search.train()
        torch.save(
            {"weights": model.module.state_dict(), "calls": calls},
            Path(folder) / f"{run}_{rank}.pth",
        )
    torch.distributed.destroy_process_group()


def selected(folder):
    """Channels that remain and weights of a selection, with the passes that this process makes."""
    torch.manual_seed(0)
    net = DRNNet(2, 1, 8).double()
    lrs, hrs = torch.rand(3, 2, 3, 8, 8).double(), torch.rand(3, 2, 3, 16, 16).double()
    batches = [{"inputs": lr, "hr": hr} for lr, hr in zip(lrs, hrs, strict=True)]
    passes = []

    def objective(batch):
        passes.append(True)
        return 255 * F.l1_loss(net(batch["inputs"]), batch["hr"])

    genotype = DRCGenotype("DRNNet", (8, 16, 16), (4, 6, 8))
    selector = ChannelSelector(net, genotype, batches, objective, lr=1e-3, channels_per_step=2)
    kept = selector.run(Path(folder) / "selection.pth")
    return {"kept": kept, "weights": net.state_dict(), "passes": len(passes)}


def built(folder, run, of="tiny_search", dtype="float64", **options) -> Runner:
    """The runner of a search in some precision."""
    search = importlib.import_module(of).runner(folder, run=run, **options)
    search.model.to(getattr(torch, dtype))  # hooks wrap it for several processes once more
    return search


def counted(module) -> list[bool]:
    """A list that gets an entry for each forward pass without gradients."""
    calls: list[bool] = []

    def count(*_) -> None:
        if not torch.is_grad_enabled():
            calls.append(True)

    module.register_forward_hook(count)
    return calls
