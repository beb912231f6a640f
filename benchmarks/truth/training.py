"""The one recipe by which every architecture of a table is trained and judged."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .images import Images, sample_batch

__all__ = ["Recipe", "evaluate", "train"]

NOISE_SEED = 20


@dataclass(frozen=True)
class Recipe:
    """Adam, cosine to zero, L1 loss.

    Attributes:
        iterations: Number of steps.
        lr: First learning rate.
        batch_size: Patches of a step.
        patch_size: Height and width of a degraded patch.
        sigma: Standard deviation of the noise in 0..255, for denoising.
    """

    iterations: int = 1200
    lr: float = 2e-3
    batch_size: int = 8
    patch_size: int = 24
    sigma: float = 0.0


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
    start = time.process_time()
    rng = np.random.default_rng(seed)
    net.train().to(memory_format=torch.channels_last)
    # eps as for losses on 0..255, on which the published recipes are defined.
    weights = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(weights, recipe.lr, eps=1e-8 / 255)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.iterations)
    for iteration in range(recipe.iterations):
        low, high = sample_batch(images, recipe.batch_size, recipe.patch_size, scale, rng)
        if recipe.sigma:
            low = low + torch.from_numpy(rng.standard_normal(low.shape)).float() * (
                recipe.sigma / 255
            )
        loss = nn.functional.l1_loss(net(low.contiguous(memory_format=torch.channels_last)), high)
        if not loss.isfinite():
            raise FloatingPointError(f"the loss is {loss.item()} at iteration {iteration}")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        after_step()
    return time.process_time() - start


@torch.inference_mode()
def evaluate(net: nn.Module, images: Images, scale: int, sigma: float = 0.0) -> float:
    """Mean PSNR in dB on luma of predictions rounded to 8 bits, border = scale.

    Args:
        net: The network.
        images: Held-out images.
        scale: Ratio of clean to degraded size.
        sigma: Standard deviation of the noise, whose field is the same at every call.
    """
    net.eval().to(memory_format=torch.channels_last)
    rng = np.random.default_rng(NOISE_SEED)
    values = []
    for low, high in zip(images.inputs, images.targets, strict=True):
        noisy = low + sigma * rng.standard_normal(low.shape) if sigma else low
        x = torch.from_numpy(np.ascontiguousarray(noisy)).permute(2, 0, 1)[None].float() / 255
        y = net(x.contiguous(memory_format=torch.channels_last))[0]
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
