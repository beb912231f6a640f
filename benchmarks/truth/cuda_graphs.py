"""Trains many networks, at once where they are on a GPU.

Networks of a table are so small that a GPU waits for the kernels of each step to be launched. Here
a step is recorded once as a CUDA graph, and the graphs of many networks run side by side, each on a
stream of its own. Batches are those of :func:`~benchmarks.truth.training.train` at the same seed.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .images import Images
from .training import ADAM_EPS, Loss, Recipe, batches, l1, place, train, weight_groups

__all__ = ["stack_batches", "train_all", "train_together"]

WARM_UP = 3
"""Steps before the recording, in which libraries choose their kernels; they leave no trace."""


def train_all(
    nets: Sequence[nn.Module], images: Images, recipe: Recipe, scale: int, seed: int
) -> float:
    """Trains networks in place on the same batches: side by side on a GPU, one by one on a CPU.

    Args:
        nets: Initialised networks on one device.
        images: Training images.
        recipe: How.
        scale: Ratio of clean to degraded size.
        seed: Seed of the patches and of the noise.

    Returns:
        Mean seconds of one: CPU time, or time on the clock on a GPU.

    Raises:
        FloatingPointError: A loss is not finite.
    """
    if next(nets[0].parameters()).device.type == "cpu":
        return sum(train(net, images, recipe, scale, seed) for net in nets) / len(nets)
    start = time.perf_counter()
    train_together(nets, stack_batches(batches(images, recipe, scale, seed)), recipe)
    return (time.perf_counter() - start) / len(nets)


def stack_batches(
    batches: Iterable[tuple[Tensor, Tensor]], device: str = "cuda"
) -> tuple[Tensor, Tensor]:
    """All degraded and all clean patches of a training ``(T, N, C, H, W)`` on a device."""
    low, high = zip(*batches, strict=True)
    return torch.stack(low).to(device), torch.stack(high).to(device)


def train_together(
    nets: Sequence[nn.Module],
    batches: tuple[Tensor, Tensor],
    recipe: Recipe,
    losses: Sequence[Loss] | None = None,
) -> None:
    """Trains networks in place, all on the same batches.

    Args:
        nets: Initialised networks on one GPU.
        batches: Degraded and clean patches of every step, see :func:`stack_batches`.
        recipe: The rate and its schedule.
        losses: Loss of each network; L1 by default.

    Raises:
        FloatingPointError: The last loss of a network is not finite.
    """
    chosen = losses or [l1] * len(nets)
    steps = [_Step(net, batches, recipe, loss) for net, loss in zip(nets, chosen, strict=True)]
    for _ in range(len(batches[0])):
        for step in steps:
            step.replay()
    torch.cuda.synchronize()
    for index, step in enumerate(steps):
        if not step.loss.isfinite():
            raise FloatingPointError(f"the loss of network {index} ends at {step.loss.item()}")


class _Step:
    """One step of a training, recorded."""

    def __init__(
        self, net: nn.Module, batches: tuple[Tensor, Tensor], recipe: Recipe, loss: Loss
    ) -> None:
        self.net, self.batches, self.loss_of = net, batches, loss
        self.recipe = recipe
        device, _ = place(net)
        groups = weight_groups(net, recipe, batches[0][0])
        net.train()
        self.weights = [weight for group in groups for weight in group["params"]]
        self.count = torch.zeros(1, dtype=torch.long, device=device)
        self.rates = [(torch.tensor(group["lr"], device=device), group["lr"]) for group in groups]
        options: dict[str, Any] = dict(eps=ADAM_EPS, capturable=True, fused=True)
        for group, (rate, _) in zip(groups, self.rates, strict=True):
            group["lr"] = rate
        self.optimizer = torch.optim.Adam(groups, **options)
        self.stream, self.graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.stream(self.stream):
            self._warm_up()
        torch.cuda.synchronize()
        with torch.cuda.graph(self.graph, stream=self.stream):
            self._run()

    def replay(self) -> None:
        """Queues one more step."""
        with torch.cuda.stream(self.stream):
            self.graph.replay()

    @torch.no_grad()
    def _warm_up(self) -> None:
        tensors = [*self.net.parameters(), *self.net.buffers()]
        start = [tensor.clone() for tensor in tensors]
        for _ in range(min(WARM_UP, len(self.batches[0]))):
            with torch.enable_grad():
                self._run()
        for tensor, value in zip(tensors, start, strict=True):
            tensor.copy_(value)
        for state in self.optimizer.state.values():
            for value in state.values():
                value.zero_()
        self.count.zero_()
        self.optimizer.zero_grad()

    def _run(self) -> None:
        low, high = (patches.index_select(0, self.count)[0] for patches in self.batches)
        for rate, share in self.rates:
            rate.copy_(share * self.recipe.rate(self.count[0]))
        self.loss = self.loss_of(self.net, low, high)
        self.loss.backward()
        nn.utils.clip_grad_norm_(self.weights, self.recipe.clip)
        self.optimizer.step()
        self.count += 1
