"""The architecture step of a differentiable search."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dataset import RepeatDataset
from mmengine.dist import all_reduce_params
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIMIZERS
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from mmsrnas.engine.supernet import find_supernet, unwrap
from mmsrnas.engine.unrolled import unrolled_gradient
from mmsrnas.registry import HOOKS, MODELS

__all__ = ["ArchOptimizerHook"]

MODES = ("mixed", "bilevel")

# Keeps the workers of the architecture data away from the random streams of the training data.
SEED_OFFSET = 10_007


@HOOKS.register_module()
class ArchOptimizerHook(Hook):
    """Trains the architecture parameters of a supernet beside its weights.

    Needs nothing but the stock ``IterBasedTrainLoop`` and an editor whose ``generator`` is a
    supernet. One step descends, in one update of the architecture parameters alone,

    * ``mixed``: ``L(training batch) + L(architecture batch) + complexity``, after the weight step
      and on the same training batch (MiLeNAS, arXiv 2003.12238, as DLSR does);
    * ``bilevel``: ``L(architecture batch) + complexity``, before the weight step (first-order
      DARTS, as HiNAS does).

    Weights get no gradient in this step, and architecture parameters none in the weight step.
    In distributed training the architecture parameters stay out of the reducer of
    ``DistributedDataParallel``; their gradients are averaged here. Layers that synchronise inside
    the forward pass (SyncBN) do so in this step too.

    Logs ``arch_loss``, ``arch_complexity`` and, for each group of architecture parameters (their
    names up to the first dot), ``arch_entropy/GROUP``: the entropy of the softmax over the last
    dimension, 1 where all choices are equally likely.

    Args:
        optimizer: Config of the optimizer of the architecture parameters.
        dataloader: Config of the dataloader of the architecture step, like ``train_dataloader``.
        mode: ``'mixed'`` or ``'bilevel'``.
        warmup_iters: Number of first iterations that train weights only.
        interval: Iterations from one architecture step to the next.
        complexity_loss: Config of the loss on ``expected_cost()`` of the supernet.
        unroll: In ``bilevel``, judges the architecture one step of the weights ahead, on the
            training batch: ``dict(second_order=False, weight_decay=0.0)``, see
            :func:`~mmsrnas.engine.unrolled.unrolled_gradient`; the step is the learning rate.
        allow_shared_images: Accepts images that are in the training data as well.

    Raises:
        ValueError: No ``dataloader``, unknown ``mode``, an image in both datasets.
        TypeError: The generator is no supernet, or has no cost for ``complexity_loss``.
    """

    def __init__(
        self,
        optimizer: dict,
        dataloader: dict | None = None,
        mode: str = "mixed",
        warmup_iters: int = 0,
        interval: int = 1,
        complexity_loss: dict | None = None,
        unroll: dict | None = None,
        allow_shared_images: bool = False,
    ) -> None:
        if dataloader is None:
            raise ValueError(
                "ArchOptimizerHook.dataloader: a search needs data for the architecture step. "
                "Give it a dataloader config like `train_dataloader`, on other images."
            )
        if mode not in MODES:
            raise ValueError(f"ArchOptimizerHook.mode: expected one of {MODES}, got {mode!r}.")
        if unroll is not None and mode != "bilevel":
            raise ValueError(f"ArchOptimizerHook.unroll: belongs to mode='bilevel', not {mode!r}.")
        if interval < 1:
            raise ValueError(f"ArchOptimizerHook.interval: expected >= 1, got {interval!r}.")
        self.optimizer = optimizer
        self.dataloader = dataloader
        self.mode = mode
        self.warmup_iters = warmup_iters
        self.interval = interval
        self.complexity_loss = MODELS.build(complexity_loss) if complexity_loss else None
        self.unroll = unroll
        self.allow_shared_images = allow_shared_images
        self.steps = 0
        self._resumed: dict | None = None

    def before_run(self, runner: Runner) -> None:
        """Takes the architecture parameters out of the gradient reduction of the weight step."""
        if not isinstance(runner._train_loop, BaseLoop):
            return  # validation or test of a supernet
        for _, param in find_supernet(runner.model).arch_parameters():
            param.requires_grad_(False)
        if isinstance(runner.model, DistributedDataParallel):
            # The reducer is made for the parameters that require gradients when it is built.
            wrapper_cfg = runner.cfg.get("model_wrapper_cfg")
            runner.model = runner.wrap_model(wrapper_cfg, runner.model.module)

    def before_train(self, runner: Runner) -> None:
        """Builds the optimizer and the data, or restores them where a run is resumed."""
        self.supernet = find_supernet(runner.model)
        if self.complexity_loss and not hasattr(self.supernet, "expected_cost"):
            raise TypeError(
                f"ArchOptimizerHook.complexity_loss: {type(self.supernet).__name__} has no "
                "`expected_cost()`; remove the loss."
            )
        if self.unroll is not None and isinstance(runner.optim_wrapper, AmpOptimWrapper):
            raise ValueError("ArchOptimizerHook.unroll: does not run in float16; leave out --amp.")
        self.arch_parameters = dict(self.supernet.arch_parameters())
        # Those that do not train are the architecture parameters and what the network freezes.
        self.weights = [param for param in self.supernet.parameters() if param.requires_grad]
        cfg = self.optimizer | {"params": list(self.arch_parameters.values())}
        self.optim_wrapper = _wrapper_like(runner.optim_wrapper, OPTIMIZERS.build(cfg))
        dataloader = runner.build_dataloader(
            self.dataloader,
            seed=runner.seed + SEED_OFFSET,
            diff_rank_seed=runner.cfg.get("randomness", {}).get("diff_rank_seed", False),
        )
        if not self.allow_shared_images:
            _require_disjoint(runner.train_dataloader.dataset, dataloader.dataset)
        self._batches = _cycle(dataloader)
        if self._resumed and runner.iter > 0:
            self.optim_wrapper.load_state_dict(self._resumed["optimizer"])
            self.steps = self._resumed["steps"]
            for _ in range(self.steps):
                next(self._batches)
        self._resumed = None

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Takes the step of ``bilevel``."""
        if self.mode == "bilevel" and self._is_due(runner):
            self._step(runner, [next(self._batches)], ahead_of=data_batch)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Takes the step of ``mixed``."""
        if self.mode == "mixed" and self._is_due(runner):
            self._step(runner, [data_batch, next(self._batches)])

    def after_train(self, runner: Runner) -> None:
        """Ends the data workers and hands the architecture parameters back."""
        del self._batches
        for param in self.arch_parameters.values():
            param.requires_grad_(True)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Saves the state of the architecture optimizer wherever the weights' is saved."""
        if "optimizer" in checkpoint:
            state = {"optimizer": self.optim_wrapper.state_dict(), "steps": self.steps}
            checkpoint["arch_optimizer"] = state

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the state until training starts; it only applies to a resumed run."""
        self._resumed = checkpoint.get("arch_optimizer")

    def _is_due(self, runner: Runner) -> bool:
        past = runner.iter - self.warmup_iters
        return past >= 0 and past % self.interval == 0

    def _step(self, runner: Runner, batches: Sequence[dict], ahead_of: dict | None = None) -> None:
        params = list(self.arch_parameters.values())
        editor, wrapper, log = unwrap(runner.model), self.optim_wrapper, {}
        with _gradients_of(params, editor):
            if self.unroll is None:
                losses = [self._backward(editor, batch) for batch in batches]
            else:
                losses = [self._backward_ahead(runner, editor, ahead_of, *batches)]
            log["arch_loss"] = torch.stack(losses).sum()
            if self.complexity_loss:
                cost = self.complexity_loss(self.supernet.expected_cost())
                wrapper.backward(cost)
                log["arch_complexity"] = cost.detach()
        all_reduce_params([p.grad for p in params if p.grad is not None], op="mean")
        wrapper.step()
        wrapper.zero_grad()
        self.steps += 1
        log |= _entropies(self.arch_parameters)
        values = torch.stack(list(log.values())).tolist()
        for name, value in zip(log, values, strict=True):
            runner.message_hub.update_scalar(f"train/{name}", value)

    def _backward(self, editor: nn.Module, batch: dict) -> torch.Tensor:
        loss = self._loss(editor, batch)
        self.optim_wrapper.backward(loss)
        return loss.detach()

    def _backward_ahead(
        self, runner: Runner, editor: nn.Module, train_batch: dict, batch: dict
    ) -> torch.Tensor:
        params = list(self.arch_parameters.values())
        _require_grad(self.weights, True)
        loss, gradients = unrolled_gradient(
            lambda: self._loss(editor, train_batch),
            lambda: self._loss(editor, batch),
            self.weights,
            params,
            runner.optim_wrapper.get_lr()["lr"][0],
            **self.unroll,
        )
        _require_grad(self.weights, False)
        for param, gradient in zip(params, gradients, strict=True):
            param.grad = gradient
        return loss

    def _loss(self, editor: nn.Module, batch: dict) -> torch.Tensor:
        with self.optim_wrapper.optim_context(editor):
            data = editor.data_preprocessor(batch, True)
            losses = editor(**data, mode="loss")
        return editor.parse_losses(losses)[0]


def _wrapper_like(wrapper: OptimWrapper, optimizer: torch.optim.Optimizer) -> OptimWrapper:
    """A wrapper of the same precision as the one of the weights, with a loss scale of its own."""
    amp = {"dtype": wrapper.cast_dtype} if isinstance(wrapper, AmpOptimWrapper) else {}
    return type(wrapper)(optimizer=optimizer, **amp)


@contextmanager
def _gradients_of(params: Sequence[nn.Parameter], model: nn.Module) -> Iterator[None]:
    """Lets gradients flow to ``params`` instead of the parameters that they flow to outside."""
    others = [param for param in model.parameters() if param.requires_grad]
    _require_grad(others, False)
    _require_grad(params, True)
    try:
        yield
    finally:
        _require_grad(params, False)
        _require_grad(others, True)


def _require_grad(params: Sequence[nn.Parameter], value: bool) -> None:
    for param in params:
        param.requires_grad_(value)


@torch.no_grad()
def _entropies(params: dict[str, nn.Parameter]) -> dict[str, torch.Tensor]:
    """Mean normalised softmax entropy of each group of parameters."""
    groups: dict[str, list[torch.Tensor]] = {}
    for name, param in params.items():
        if param.shape[-1] > 1:
            entropy = torch.special.entr(param.float().softmax(-1)).sum(-1).mean()
            maximum = torch.tensor(param.shape[-1]).log().item()
            groups.setdefault(name.partition(".")[0], []).append(entropy / maximum)
    return {f"arch_entropy/{name}": torch.stack(group).mean() for name, group in groups.items()}


def _cycle(dataloader: DataLoader) -> Iterator[Any]:
    """Yields batches for ever, each pass over the data in a new order."""
    for epoch in itertools.count():
        sampler = getattr(dataloader.batch_sampler, "sampler", None)
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)
        batch = None
        for batch in dataloader:
            yield batch
        if batch is None:
            raise ValueError(
                "ArchOptimizerHook.dataloader: yields no batch; its dataset is empty, or smaller "
                "than `batch_size` with `drop_last=True`."
            )


def _require_disjoint(train: Dataset, arch: Dataset) -> None:
    """Refuses images that would both fit the weights and judge the architecture."""
    shared = sorted(_image_paths(train) & _image_paths(arch))
    if shared:
        raise ValueError(
            f"ArchOptimizerHook.dataloader: {len(shared)} image(s) are in `train_dataloader` too, "
            f"the first is '{shared[0]}'. Split the images between the two, or set "
            "`allow_shared_images=True`."
        )


def _image_paths(dataset: Dataset) -> set[str]:
    while isinstance(dataset, RepeatDataset):
        dataset = dataset.dataset
    if not hasattr(dataset, "get_data_info"):
        return set()
    records = (dataset.get_data_info(i) for i in range(len(dataset)))
    return {record["gt_path"] for record in records if "gt_path" in record}
