"""The architecture step of a differentiable search."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from mmengine.dist import all_reduce_params
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIMIZERS, PARAM_SCHEDULERS
from mmengine.runner import Runner
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmsrnas.engine.batches import BatchStream
from mmsrnas.engine.data import require_disjoint
from mmsrnas.engine.supernet import find_supernet, is_training, unwrap
from mmsrnas.engine.virtual_step import virtual_step_gradients
from mmsrnas.models.supernet import CostedSupernet
from mmsrnas.registry import HOOKS, MODELS

__all__ = ["ArchOptimizerHook"]

MODES = ("mixed", "bilevel")

# Keeps the architecture data away from the random numbers of the training data.
SEED_OFFSET = 10_007


@dataclass(frozen=True)
class VirtualStep:
    """The step of the weights after which the architecture's gradient is taken.

    Attributes:
        lr_factor: Its learning rate, in learning rates of the weights.
        weight_decay: Its weight decay; None is that of the weights.
        second_order: Whether its dependence on the architecture counts.
    """

    lr_factor: float = 1.0
    weight_decay: float | None = None
    second_order: bool = True

    def decay_of(self, group: dict) -> float:
        """Weight decay of a group of the weights' optimizer."""
        own = group.get("weight_decay", 0.0)
        return own if self.weight_decay is None else self.weight_decay


@HOOKS.register_module()
class ArchOptimizerHook(Hook):
    """Trains the architecture parameters of a supernet beside its weights.

    Needs nothing but the stock ``IterBasedTrainLoop`` and an editor whose ``generator`` is a
    supernet. One step descends, in one update of the architecture parameters alone,

    * ``mixed``: ``L(training batch) + L(architecture batch) + complexity``, after the weight step
      and on the same training batch (MiLeNAS, arXiv 2003.12238, as DLSR does);
    * ``bilevel``: ``L(architecture batch) + complexity``, before the weight step (first-order
      DARTS, as HiNAS does). With ``virtual_step`` its gradient is that of the architecture loss
      after one step of the generator's weights on the training batch: one more pass, and two more
      for its second-order term.

    Weights get no gradient in a first-order step, architecture parameters none in the weight step.
    In distributed training the architecture parameters stay out of the reducer of
    ``DistributedDataParallel``; their gradients are averaged here.

    Logs ``arch_loss``, ``arch_complexity`` and, for each group of architecture parameters (their
    names up to the first dot), ``arch_entropy/GROUP``: the entropy of the softmax over the last
    dimension, 1 where all choices are equally likely. With ``entropy_weight`` the step descends
    the entropy of each choice too, the more so the nearer the end, and the search ends decided
    (discretization-aware search, arXiv 2007.03154).

    Args:
        optimizer: Config of the optimizer of the architecture parameters.
        dataloader: Config of the dataloader of the architecture step, like ``train_dataloader``.
        mode: ``'mixed'`` or ``'bilevel'``.
        warmup_iters: Number of first iterations that train weights only.
        interval: Iterations from one architecture step to the next.
        virtual_step: Takes the gradient one weight step ahead, for ``bilevel`` and without loss
            scaling. Keys: ``lr_factor`` times the learning rate of the weights is that of the
            step (1), ``weight_decay`` its weight decay (None: that of the weights), and
            ``second_order`` counts how the step depends on the architecture (True).
        param_scheduler: Config of the learning rate's schedule, one of mmengine's; it counts
            architecture steps.
        complexity_loss: Config of the loss on the cost of a
            :class:`~mmsrnas.models.supernet.CostedSupernet`.
        entropy_weight: Weight of the entropy of each choice, in 0..1, at the last iteration; it
            grows linearly from 0 at the end of the warm-up.
        allow_shared_images: Accepts images that are in the training data as well.

    Raises:
        ValueError: No ``dataloader``, unknown ``mode``, ``virtual_step`` where it has no meaning,
            a negative ``entropy_weight``, an image in both datasets.
        TypeError: The generator is no supernet, or has no cost for ``complexity_loss``.
    """

    def __init__(
        self,
        optimizer: dict,
        dataloader: dict | None = None,
        mode: str = "mixed",
        warmup_iters: int = 0,
        interval: int = 1,
        virtual_step: dict | None = None,
        param_scheduler: dict | None = None,
        complexity_loss: dict | None = None,
        entropy_weight: float = 0.0,
        allow_shared_images: bool = False,
    ) -> None:
        if dataloader is None:
            raise ValueError(
                "ArchOptimizerHook.dataloader: a search needs data for the architecture step. "
                "Give it a dataloader config like `train_dataloader`, on other images."
            )
        if mode not in MODES:
            raise ValueError(f"ArchOptimizerHook.mode: expected one of {MODES}, got {mode!r}.")
        if interval < 1:
            raise ValueError(f"ArchOptimizerHook.interval: expected >= 1, got {interval!r}.")
        if virtual_step is not None and mode != "bilevel":
            raise ValueError("ArchOptimizerHook.virtual_step: needs mode='bilevel'.")
        if not entropy_weight >= 0:
            raise ValueError(
                f"ArchOptimizerHook.entropy_weight: expected >= 0, got {entropy_weight!r}."
            )
        self.optimizer = optimizer
        self.dataloader = dataloader
        self.mode = mode
        self.warmup_iters = warmup_iters
        self.interval = interval
        self.virtual_step = None if virtual_step is None else VirtualStep(**virtual_step)
        self.param_scheduler = param_scheduler
        self.complexity_loss: Any = MODELS.build(complexity_loss) if complexity_loss else None
        self.entropy_weight = entropy_weight
        self.allow_shared_images = allow_shared_images
        self.steps = 0
        self._resumed: dict | None = None

    def before_run(self, runner: Runner) -> None:
        """Takes the architecture parameters out of the gradient reduction of the weight step."""
        if not is_training(runner):
            return
        for _, param in find_supernet(runner.model).arch_parameters():
            param.requires_grad_(False)
        if isinstance(runner.model, DistributedDataParallel):
            # The reducer is made for the parameters that require gradients when it is built.
            wrapper_cfg = runner.cfg.get("model_wrapper_cfg")
            runner.model = runner.wrap_model(wrapper_cfg, runner.model.module)

    def before_train(self, runner: Runner) -> None:
        """Builds the optimizer and the data, or restores them where a run is resumed."""
        self.supernet = find_supernet(runner.model)
        if self.complexity_loss:
            self._check_complexity_loss()
        self.arch_parameters = dict(self.supernet.arch_parameters())
        if self.virtual_step and isinstance(runner.optim_wrapper, AmpOptimWrapper):
            raise ValueError(
                "ArchOptimizerHook.virtual_step: cannot scale the loss; use "
                "optim_wrapper.type='OptimWrapper' or 'mmsrnas.AutocastOptimWrapper'."
            )
        cfg = self.optimizer | {"params": list(self.arch_parameters.values())}
        wrapper = cast(OptimWrapper, runner.optim_wrapper)
        self.optim_wrapper = _wrapper_like(wrapper, OPTIMIZERS.build(cfg))
        self.scheduler = None
        if self.param_scheduler:
            schedule = self.param_scheduler | {"optimizer": self.optim_wrapper}
            self.scheduler = PARAM_SCHEDULERS.build(schedule)
        seed = runner.seed + SEED_OFFSET
        dataloader = runner.build_dataloader(
            self.dataloader,
            seed=seed,
            diff_rank_seed=runner.cfg.get("randomness", {}).get("diff_rank_seed", False),
        )
        if not self.allow_shared_images:
            require_disjoint(runner.train_dataloader.dataset, dataloader.dataset)
        self._batches = BatchStream(dataloader, seed, "ArchOptimizerHook.dataloader")
        if self._resumed and runner.iter > 0:
            self.optim_wrapper.load_state_dict(self._resumed["optimizer"])
            if self.scheduler:
                self.scheduler.load_state_dict(self._resumed["scheduler"])
            self.steps = self._resumed["steps"]
            self._batches.skip(self.steps)
        self._resumed = None

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Takes the step of ``bilevel``."""
        if self.mode == "bilevel" and self._is_due(runner):
            self._step(runner, data_batch)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Takes the step of ``mixed``."""
        if self.mode == "mixed" and self._is_due(runner):
            self._step(runner, data_batch)

    def after_train(self, runner: Runner) -> None:
        """Ends the data workers and hands the architecture parameters back."""
        del self._batches
        for param in self.arch_parameters.values():
            param.requires_grad_(True)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Saves the state of the architecture optimizer wherever the weights' is saved."""
        if "optimizer" in checkpoint:
            state = {"optimizer": self.optim_wrapper.state_dict(), "steps": self.steps}
            if self.scheduler:
                state["scheduler"] = self.scheduler.state_dict()
            checkpoint["arch_optimizer"] = state

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the state until training starts; it only applies to a resumed run."""
        self._resumed = checkpoint.get("arch_optimizer")

    def _is_due(self, runner: Runner) -> bool:
        past = runner.iter - self.warmup_iters
        return past >= 0 and past % self.interval == 0

    def _step(self, runner: Runner, train_batch: Any) -> None:
        params, log = list(self.arch_parameters.values()), {}
        with _gradients_of(params, unwrap(runner.model)) as weights:
            if self.virtual_step:
                losses = [self._look_ahead(runner, train_batch, params, weights)]
            else:
                batches = [train_batch] if self.mode == "mixed" else []
                batches.append(next(self._batches))
                losses = [self._backward(runner, batch) for batch in batches]
            log["arch_loss"] = torch.stack(losses).sum()
            if self.complexity_loss:
                complexity = self._complexity()
                self.optim_wrapper.backward(complexity)
                log["arch_complexity"] = complexity.detach()
            if self.entropy_weight:
                entropies = [_entropy(param).sum() for param in params if param.shape[-1] > 1]
                undecided = torch.stack(entropies).sum()
                self.optim_wrapper.backward(self._growth(runner) * undecided)
        all_reduce_params([p.grad for p in params if p.grad is not None], op="mean")
        self.optim_wrapper.step()
        self.optim_wrapper.zero_grad()
        if self.scheduler:
            self.scheduler.step()
        self.steps += 1
        log |= _entropies(self.arch_parameters)
        values = torch.stack([value.float() for value in log.values()]).tolist()
        for name, value in zip(log, values, strict=True):
            runner.message_hub.update_scalar(f"train/{name}", value)

    def _growth(self, runner: Runner) -> float:
        """Weight of the entropy now."""
        past, total = runner.iter + 1 - self.warmup_iters, runner.max_iters - self.warmup_iters
        return self.entropy_weight * past / total

    def _check_complexity_loss(self) -> None:
        if not isinstance(self.supernet, CostedSupernet):
            raise TypeError(
                f"ArchOptimizerHook.complexity_loss: {type(self.supernet).__name__} has no "
                "`expected_cost()` and `reference_cost`; remove the loss."
            )

    def _complexity(self) -> torch.Tensor:
        net: Any = self.supernet
        budget: float | None = getattr(net, "budget", None)
        return self.complexity_loss(net.expected_cost(), net.reference_cost, budget)

    def _loss(self, runner: Runner, batch: dict) -> torch.Tensor:
        editor = unwrap(runner.model)
        with self.optim_wrapper.optim_context(editor):
            losses = editor(**editor.data_preprocessor(batch, True), mode="loss")
        return editor.parse_losses(losses)[0]

    def _backward(self, runner: Runner, batch: dict) -> torch.Tensor:
        loss = self._loss(runner, batch)
        self.optim_wrapper.backward(loss)
        return loss.detach()

    def _look_ahead(
        self,
        runner: Runner,
        train_batch: dict,
        params: Sequence[nn.Parameter],
        weights: Sequence[nn.Parameter],
    ) -> torch.Tensor:
        _require_grad(weights, True)
        step = cast(VirtualStep, self.virtual_step)
        ours = set(unwrap(runner.model).generator.parameters())
        groups = cast(OptimWrapper, runner.optim_wrapper).optimizer.param_groups
        trained = [
            (p, group) for group in groups for p in group["params"] if p.requires_grad and p in ours
        ]
        arch_batch = next(self._batches)
        loss, gradients = virtual_step_gradients(
            lambda: self._loss(runner, train_batch),
            lambda: self._loss(runner, arch_batch),
            arch=params,
            weights=[param for param, _ in trained],
            rates=[step.lr_factor * group["lr"] for _, group in trained],
            decays=[step.decay_of(group) for _, group in trained],
            second_order=step.second_order,
        )
        for param, gradient in zip(params, gradients, strict=True):
            param.grad = gradient
        return loss


def _wrapper_like(wrapper: OptimWrapper, optimizer: torch.optim.Optimizer) -> OptimWrapper:
    """A wrapper of the same precision as the one of the weights, with a loss scale of its own."""
    if isinstance(wrapper, AmpOptimWrapper):
        return type(wrapper)(optimizer=optimizer, dtype=wrapper.cast_dtype)
    return type(wrapper)(optimizer=optimizer)


@contextmanager
def _gradients_of(params: Sequence[nn.Parameter], model: nn.Module) -> Iterator[list[nn.Parameter]]:
    """Lets gradients flow to ``params`` instead of the others, which it yields."""
    others = [param for param in model.parameters() if param.requires_grad]
    _require_grad(others, False)
    _require_grad(params, True)
    try:
        yield others
    finally:
        _require_grad(params, False)
        _require_grad(others, True)


def _require_grad(params: Sequence[nn.Parameter], value: bool) -> None:
    for param in params:
        param.requires_grad_(value)


def _entropy(param: torch.Tensor) -> torch.Tensor:
    """Normalised entropy ``(...)`` of the softmax over the last dimension."""
    entropy = torch.special.entr(param.float().softmax(-1)).sum(-1)
    return entropy / math.log(param.shape[-1])


@torch.no_grad()
def _entropies(params: dict[str, nn.Parameter]) -> dict[str, torch.Tensor]:
    """Mean normalised entropy of each group of parameters."""
    groups: dict[str, list[torch.Tensor]] = {}
    for name, param in params.items():
        if param.shape[-1] > 1:
            groups.setdefault(name.partition(".")[0], []).append(_entropy(param).mean())
    return {f"arch_entropy/{name}": torch.stack(group).mean() for name, group in groups.items()}
