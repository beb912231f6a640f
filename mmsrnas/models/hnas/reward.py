"""The reward of an architecture: image quality against cost."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmsrnas.genotypes import HNASGenotype

from .cost import HNASCost, multi_adds

__all__ = ["HNASReward", "batch_psnr", "image_psnr", "mean_of_others"]

MIN_PSNR_STD = 0.05
"""Smallest spread of PSNR in dB that is a unit: an untrained supernet has next to none."""

PSNR_STD_MOMENTUM = 0.9
"""Share of the old spread of PSNR in the new one."""


def image_psnr(prediction: Tensor, target: Tensor, crop_border: int) -> Tensor:
    """PSNR of every image over its channels, of predictions rounded to 8 bits.

    Args:
        prediction: Images ``(N, C, H, W)`` in [0, 255].
        target: Images ``(N, C, H, W)`` in [0, 255].
        crop_border: Pixels left out at every side.

    Returns:
        PSNR in dB ``(N,)``.

    Raises:
        ValueError: The border leaves no pixel.
    """
    return _decibel(_squared_error(prediction, target, crop_border).mean(dim=(1, 2, 3)))


def batch_psnr(prediction: Tensor, target: Tensor, crop_border: int) -> Tensor:
    """PSNR of the mean error of all images, as the released code has it; a scalar in dB."""
    return _decibel(_squared_error(prediction, target, crop_border).mean())


def _squared_error(prediction: Tensor, target: Tensor, border: int) -> Tensor:
    if min(target.shape[-2:]) <= 2 * border:
        raise ValueError(
            f"PSNR leaves out a border of {border} pixels, which is all of images of "
            f"{target.shape[-2]}x{target.shape[-1]} pixels; enlarge 'patch_size'."
        )
    crop = (..., slice(border, -border or None), slice(border, -border or None))
    difference = prediction.float().clamp(0, 255).round()[crop] - target.float()[crop]
    return difference.square()


def _decibel(error: Tensor) -> Tensor:
    # Half a grey value on one of a million pixels: an image without error is finite, too.
    return 10 * torch.log10(255**2 / error.clamp(min=1e-6))


def mean_of_others(psnr: Tensor) -> Tensor:
    """For every architecture, the mean PSNR of all others ``(N,)``: a baseline without bias."""
    return (psnr.sum() - psnr) / (len(psnr) - 1)


class HNASReward:
    """``lambda * quality - (1 - lambda) * cost``.

    ``variant='default'`` measures both terms in standard deviations over random architectures, so
    that ``lambda=0.5`` weighs them alike:

    * quality: PSNR, mean of the dB of the images, against a reference on the same images. Images
      differ by many dB, architectures by tenths: without reference the images would be rewarded;
    * cost: :meth:`HNASCost.normalised`, or with a budget :meth:`HNASCost.excess`.

    ``'paper'`` and ``'official'`` take the raw dB, and ``5e-9`` times the multiply-accumulates for
    an LR image of 48x48 at the width of the supernet; ``'official'`` counts as the released code
    does, rounds to three digits, and takes one PSNR for the whole batch.

    Args:
        performance_weight: lambda, in [0, 1].
        cost: Cost of genotypes.
        psnr_std: Buffer for the spread of PSNR in dB over random architectures, a scalar.
        variant: ``'default'``, ``'paper'`` or ``'official'``.
        budget: With ``'default'``, the cost below which there is no cost term.

    Attributes:
        min_samples: Architectures that one call compares at least.
        mean_cost: Mean cost of random architectures.

    Raises:
        ValueError: ``performance_weight`` outside [0, 1].
    """

    def __init__(
        self,
        performance_weight: float,
        cost: HNASCost,
        psnr_std: Tensor,
        variant: str = "default",
        budget: float | None = None,
    ) -> None:
        if not 0 <= performance_weight <= 1:
            raise ValueError(
                f"reward.performance_weight: expected 0 <= lambda <= 1, got {performance_weight!r}."
            )
        self.performance_weight = performance_weight
        self.cost = cost
        self.budget = budget
        self.psnr_std = psnr_std
        self.variant = variant
        self.min_samples = 2 if variant == "default" else 1

    @property
    def mean_cost(self) -> float:
        """Mean cost of random architectures."""
        return self.cost.mean

    def psnr(self, prediction: Tensor, target: Tensor) -> Tensor:
        """PSNR in dB, a scalar, of a batch in [0, 255] without its border of ``scale + 6``."""
        border = self.cost.upscale_factor + 6
        if self.variant == "official":
            return batch_psnr(prediction, target, border)
        return image_psnr(prediction, target, border).mean()

    def bicubic_psnr(self, lr: Tensor, target: Tensor) -> Tensor:
        """PSNR in dB, a scalar, of bicubic interpolation of LR images in [0, 255]."""
        scale = self.cost.upscale_factor
        return self.psnr(F.interpolate(lr, scale_factor=scale, mode="bicubic"), target)

    def costs(self, genotypes: Sequence[HNASGenotype]) -> Tensor:
        """The cost term of every genotype ``(N,)``."""
        if self.variant == "default":
            if self.budget is None:
                values = [self.cost.normalised(genotype) for genotype in genotypes]
            else:
                values = [self.cost.excess(genotype, self.budget) for genotype in genotypes]
        else:
            values = [self._released_cost(genotype) for genotype in genotypes]
        return torch.tensor(values, dtype=torch.double)

    def _released_cost(self, genotype: HNASGenotype) -> float:
        cost = 5e-9 * multi_adds(genotype, (48, 48), self.variant)
        return round(cost, 3) if self.variant == "official" else cost

    def update_psnr_std(self, psnr: Tensor) -> None:
        """Averages the spread of PSNR over time.

        Args:
            psnr: PSNR in dB of random architectures on the same images ``(N,)``.
        """
        old, new = self.psnr_std, psnr.std()
        if not old.isnan():
            new = PSNR_STD_MOMENTUM * old + (1 - PSNR_STD_MOMENTUM) * new
        old.copy_(new)

    def __call__(
        self,
        psnr: Tensor,
        architectures: Sequence[HNASGenotype],
        reference: Tensor | None = None,
        psnr_std: Tensor | None = None,
    ) -> Tensor:
        """Rewards of architectures that were scored on the same images.

        Args:
            psnr: Their PSNR in dB ``(N,)``.
            architectures: The architectures.
            reference: PSNR in dB on the same images that each is compared with, a scalar;
                :func:`mean_of_others` where it is None.
            psnr_std: Spread of the PSNR of random architectures in dB, a scalar; the average of
                :meth:`update_psnr_std` where it is None.

        Returns:
            The rewards ``(N,)``.

        Raises:
            FloatingPointError: A reward is not finite.
        """
        quality = psnr.double()
        if self.variant == "default":
            reference = mean_of_others(psnr) if reference is None else reference
            psnr_std = self.psnr_std if psnr_std is None else psnr_std
            quality = (quality - reference) / psnr_std.clamp(min=MIN_PSNR_STD)
        weight = self.performance_weight
        costs = self.costs(architectures).to(quality.device)
        rewards = weight * quality - (1 - weight) * costs
        if not rewards.isfinite().all():
            index = int(rewards.isfinite().logical_not().nonzero()[0])
            raise FloatingPointError(
                f"the reward of an architecture is {rewards[index].item()}: PSNR "
                f"{psnr[index].item()} dB, cost {costs[index].item()}. If the PSNR is to blame, "
                "the shared weights have diverged: lower the learning rate or clip the gradient "
                f"of `optim_wrapper.weights`. The architecture: {architectures[index]}"
            )
        return rewards
