"""The one recipe by which every architecture of a table is trained and judged."""

import itertools
import math
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmsrnas.models.elastic.modules import LinearAnchor

from .images import Images, sample_batch

__all__ = [
    "ADAM_EPS",
    "Loss",
    "Recipe",
    "batches",
    "evaluate",
    "fit",
    "l1",
    "place",
    "recipe_value",
    "train",
    "weight_groups",
]

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""Of a network on degraded patches and targets."""

ADAM_EPS = 1e-8 / 255
"""As for losses on 0..255, on which the published recipes are defined."""

NOISE_SEED = 20
FINITE_EVERY = 20
"""Steps between two looks at the loss, for which a GPU has to be waited for."""


@dataclass(frozen=True)
class Recipe:
    """Adam, a linear rise of the rate and its cosine to zero, L1 loss.

    Attributes:
        iterations: Number of steps.
        lr: Highest learning rate.
        batch_size: Patches of a step.
        patch_size: Height and width of a degraded patch.
        sigma: Standard deviation of the noise in 0..255, for denoising.
        unit_variance: Start each convolution at outputs of unit variance.
        warm_up: Steps in which the rate rises.
        clip: Largest norm of a gradient. Those of L1 in [0, 1] are below 0.05 but in a burst.
        mean: Brightness that the network sees as zero.
        ends: Share of the rate for what makes the image: the last convolution and a learned
            interpolation. One step of Adam moves it by more than all the detail that it lacks.
    """

    iterations: int = 1200
    lr: float = 2e-3
    batch_size: int = 8
    patch_size: int = 24
    sigma: float = 0.0
    unit_variance: bool = False
    warm_up: int = 0
    clip: float = 1.0
    mean: float = 0.0
    ends: float = 1.0

    def rate(self, step: Tensor) -> Tensor:
        """Learning rate of a step, counted from zero."""
        rise = ((step + 1) / (self.warm_up + 1)).clamp(max=1)
        return self.lr * rise * (1 + (math.pi * step / self.iterations).cos()) / 2


def recipe_value(text: str) -> tuple[str, Any]:
    """Name and value of a part of a recipe, written ``NAME=VALUE`` on a command line.

    Raises:
        ArgumentTypeError: There is no such name, or its value is no number.
    """
    kinds = {field.name: type(field.default) for field in fields(Recipe)}
    name, _, value = text.partition("=")
    if name not in kinds:
        raise ArgumentTypeError(f"expected one of {', '.join(kinds)}, got '{name}'")
    try:
        return name, kinds[name](float(value))
    except ValueError:
        raise ArgumentTypeError(f"{name}: expected a number, got '{value}'") from None


def batches(
    images: Images, recipe: Recipe, scale: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Degraded and clean patches ``(N, C, H, W)`` of every step of a training.

    Args:
        images: Training images.
        recipe: Number of steps, sizes and noise.
        scale: Ratio of clean to degraded size.
        seed: Seed of the patches and of the noise.
    """
    rng = np.random.default_rng(seed)
    for _ in range(recipe.iterations):
        low, high = sample_batch(images, recipe.batch_size, recipe.patch_size, scale, rng)
        if recipe.sigma:
            noise = torch.from_numpy(rng.standard_normal(low.shape)).float()
            low = low + noise * (recipe.sigma / 255)
        yield low, high


def l1(net: nn.Module, low: Tensor, high: Tensor) -> Tensor:
    """The loss of the tables."""
    return nn.functional.l1_loss(net(low), high)


def train(
    net: nn.Module,
    images: Images,
    recipe: Recipe,
    scale: int,
    seed: int,
    after_step: Callable[[], None] = lambda: None,
) -> float:
    """Trains a network in place.

    Args:
        net: The network, already initialised.
        images: Training images.
        recipe: How.
        scale: Ratio of clean to degraded size.
        seed: Seed of the patches and of the noise.
        after_step: Called after every step.

    Returns:
        CPU seconds.

    Raises:
        FloatingPointError: The loss is not finite.
    """
    return fit(net, batches(images, recipe, scale, seed), recipe, l1, after_step)


def fit(
    net: nn.Module,
    patches: Iterable[tuple[Tensor, Tensor]],
    recipe: Recipe,
    loss_of: Loss = l1,
    after_step: Callable[[], None] = lambda: None,
) -> float:
    """Trains a network in place on given patches, as :func:`train` does.

    Args:
        net: The network, already initialised.
        patches: Degraded patches and targets of every step.
        recipe: The rate and its schedule.
        loss_of: The loss of a network on a step's patches.
        after_step: Called after every step.

    Returns:
        CPU seconds.

    Raises:
        FloatingPointError: The loss is not finite.
    """
    start = time.process_time()
    device, layout = place(net)
    patches = iter(patches)
    first = next(patches)
    groups = weight_groups(net, recipe, first[0].to(device))
    net.train()
    optimizer = torch.optim.Adam(groups, eps=ADAM_EPS, fused=True)
    weights = [weight for group in groups for weight in group["params"]]
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: float(recipe.rate(torch.tensor(step)))
    )
    for iteration, (low, high) in enumerate(itertools.chain([first], patches)):
        loss = loss_of(net, low.to(device).contiguous(memory_format=layout), high.to(device))
        last = iteration + 1 == recipe.iterations
        if (last or iteration % FINITE_EVERY == 0) and not loss.isfinite():
            raise FloatingPointError(f"the loss is {loss.item()} at iteration {iteration}")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, recipe.clip)
        optimizer.step()
        schedule.step()
        after_step()
    return time.process_time() - start


def weight_groups(net: nn.Module, recipe: Recipe, low: Tensor) -> list[dict[str, Any]]:
    """The weights that learn, in groups of an optimizer whose ``lr`` are shares of the rate.

    Args:
        net: The network.
        recipe: Share of the rate for what makes the image.
        low: Degraded patches ``(N, C, H, W)``, on which the last convolution is found.
    """
    ends = [] if recipe.ends == 1 else [*_last_conv(net, low), *_modules(net, LinearAnchor)]
    slow = {weight for conv in ends for weight in conv.parameters()}
    groups: list[dict[str, Any]] = [dict(params=[], lr=lr) for lr in (1.0, recipe.ends)]
    for weight in net.parameters():
        if weight.requires_grad:
            groups[weight in slow]["params"].append(weight)
    return [group for group in groups if group["params"]]


def _modules(net: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in net.modules() if isinstance(module, kind)]


@torch.no_grad()
def _last_conv(net: nn.Module, low: Tensor) -> list[nn.Module]:
    """The convolution that runs last: supernets and HNAS register others after it."""
    ran: list[nn.Module] = []
    hooks = [
        conv.register_forward_hook(lambda module, *_: ran.append(module))
        for conv in _modules(net, nn.Conv2d)
        if not isinstance(conv, LinearAnchor)
    ]
    net.eval()(low)
    for hook in hooks:
        hook.remove()
    return ran[-1:]


def place(net: nn.Module) -> tuple[torch.device, torch.memory_format]:
    """Brings a network into the layout that its device is fast in; returns both."""
    device = next(net.parameters()).device
    layout = torch.channels_last if device.type == "cpu" else torch.contiguous_format
    net.to(memory_format=layout)
    return device, layout


@torch.inference_mode()
def evaluate(net: nn.Module, images: Images, scale: int, sigma: float = 0.0) -> float:
    """Mean PSNR in dB on luma of predictions rounded to 8 bits, border = scale.

    Args:
        net: The network.
        images: Held-out images.
        scale: Ratio of clean to degraded size.
        sigma: Standard deviation of the noise, whose field is the same at every call.
    """
    device, layout = place(net.eval())
    rng = np.random.default_rng(NOISE_SEED)
    values = []
    for low, high in zip(images.inputs, images.targets, strict=True):
        noisy = low + sigma * rng.standard_normal(low.shape) if sigma else low
        x = torch.from_numpy(np.ascontiguousarray(noisy)).permute(2, 0, 1)[None].float() / 255
        y = net(x.to(device).contiguous(memory_format=layout))[0].cpu()
        y = (y * 255).clamp(0, 255).round()
        target = torch.from_numpy(high).permute(2, 0, 1).float()
        border = slice(scale, -scale) if scale > 1 else slice(None)
        error = (_luma(y) - _luma(target))[border, border].square().mean()
        values.append((10 * torch.log10(255**2 / error)).item())
    return float(np.mean(values))


def _luma(image: Tensor) -> Tensor:
    """BT.601 luma without its offset ``(H, W)`` of an image ``(C, H, W)`` in [0, 255]."""
    if image.shape[0] == 1:
        return image[0]
    return torch.einsum("chw,c->hw", image, torch.tensor([65.481, 128.553, 24.966]) / 255)
