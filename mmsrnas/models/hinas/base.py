"""The image residual that the supernet and the networks of HiNAS share."""

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

__all__ = ["HEADS", "TASKS", "HiNASBase"]

TASKS = ("denoise", "sr")
HEADS = ("residual", "official")


class HiNASBase(BaseModule):
    """Task, scale and image residual.

    Args:
        task: ``'denoise'`` subtracts the residual from the image, ``'sr'`` adds it to the bicubic
            enlargement.
        upscale_factor: Ratio of HR to LR size; 1 for denoising.
        in_channels: Channels of the images, 1 for gray and 3 for colour.
        head: ``'residual'``, or ``'official'`` for the quirks of the released code.
        init_cfg: Initialisation config of mmengine.

    Raises:
        ValueError: Unknown ``task`` or ``head``, or a scale that the task does not have.
    """

    def __init__(
        self,
        task: str,
        upscale_factor: int,
        in_channels: int,
        head: str,
        init_cfg: dict | None,
    ) -> None:
        super().__init__(init_cfg)
        for key, value, known in (("task", task, TASKS), ("head", head, HEADS)):
            if value not in known:
                raise ValueError(f"{key}: expected one of {known}, got {value!r}.")
        if upscale_factor < 1 or (task == "denoise") != (upscale_factor == 1):
            raise ValueError(
                "upscale_factor: expected 1 for task='denoise' and at least 2 for task='sr', "
                f"got {upscale_factor!r} for task={task!r}."
            )
        self.task = task
        self.upscale_factor = upscale_factor
        self.in_channels = in_channels
        self.official = head == "official"

    def reconstruction(self, channels: int) -> nn.Sequential:
        """The last convolution and the rearrangement to the scale."""
        scale = self.upscale_factor
        conv = nn.Conv2d(channels, self.in_channels * scale**2, 3, padding=1)
        return nn.Sequential(conv, *([nn.PixelShuffle(scale)] if scale > 1 else []))

    def add_residual(self, x: Tensor, residual: Tensor, mode: str = "bicubic") -> Tensor:
        """Joins the image ``(N, C, H, W)`` with the residual of the output's size."""
        if self.task == "denoise":
            return x - residual
        return residual + F.interpolate(
            x, scale_factor=self.upscale_factor, mode=mode, align_corners=False
        )

    def check_channels(self, x: Tensor) -> None:
        """Refuses images with another number of channels than the network was built for.

        Raises:
            ValueError: The images are gray and the network is not, or the other way round.
        """
        if x.size(1) != self.in_channels:
            raise ValueError(
                f"{type(self).__name__} has in_channels={self.in_channels} but the images have "
                f"{x.size(1)} channels. Set in_channels=1 with color_type='grayscale', or "
                "in_channels=3 with color_type='color', in the config of the model and the data."
            )
