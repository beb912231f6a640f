"""Primal and dual networks in one editor."""

import logging
from typing import Any

import torch
import torch.nn.functional as F
from mmagic.models.base_models import BaseEditModel
from mmagic.structures import DataSample
from mmengine.logging import print_log
from torch import Tensor, nn

from mmsrnas.checkpoint import read_checkpoint
from mmsrnas.registry import MODELS
from mmsrnas.sizes import in_channels_of

__all__ = ["DualRegressionEditor"]


@MODELS.register_module()
class DualRegressionEditor(BaseEditModel):
    """Training of any super-resolution generator in a closed loop (arXiv 2003.07018).

    The dual networks are parameters of the editor: the optimizer, checkpoints, resuming and
    distributed training treat them like the generator. Inference is that of ``BaseEditModel``.

    The loss is ``loss_primal + loss_dual`` (and ``loss_distillation``). In the ``pyramid`` form,
    for generators that return images of all levels, every level counts, and a dual network of
    factor 2 leads from each level to the one below; the LR images between LR and HR are made from
    HR by bicubic down-scaling. Otherwise one dual network leads from SR to LR.

    A batch may contain LR images without HR, see :class:`~mmsrnas.datasets.MixedImageDataset`:
    they count in ``loss_dual`` only.

    Args:
        generator: Config of the super-resolution network.
        pixel_loss: Config of the loss between SR and HR.
        dual_network: Config of the dual network, without ``upscale_factor`` where the generator
            says its own; its ``in_channels`` are the generator's.
        dual_loss: Config of the loss between dual outputs and LR.
        pyramid: Whether the generator takes ``pyramid=True``, as ``DRNNet`` does.
        distillation: Config of a :class:`~mmsrnas.models.losses.DistillationLoss`.
        pretrained: Checkpoint that the generator and, where it has them, the dual networks start
            from, loaded strictly. The generator inside a ``ChannelNumberSearch`` counts.
        kwargs: ``train_cfg``, ``test_cfg``, ``init_cfg``, ``data_preprocessor``.

    Raises:
        ValueError: The scale of the dual network or of the teacher is not the generator's.
    """

    def __init__(
        self,
        generator: dict,
        pixel_loss: dict,
        dual_network: dict | None = None,
        dual_loss: dict | None = None,
        pyramid: bool = False,
        distillation: dict | None = None,
        pretrained: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(generator=generator, pixel_loss=pixel_loss, **kwargs)
        self.pyramid = pyramid
        self.pretrained = pretrained
        self.dual_networks = self._build_duals(dual_network or dict(type="mmsrnas.DualNet"))
        self.dual_loss = MODELS.build(dual_loss or dict(type="mmsrnas.DualRegressionLoss"))
        self.distillation = MODELS.build(distillation) if distillation else None
        if self.distillation:
            self.distillation.watch(self.generator)

    def _build_duals(self, cfg: dict) -> nn.ModuleList:
        scale: Any = getattr(self.generator, "upscale_factor", None)
        scale = scale or getattr(self.generator, "upscale", None)  # SwinIRNet
        given = cfg.get("upscale_factor")
        if self.pyramid and scale is None:
            raise ValueError(
                f"pyramid=True: {type(self.generator).__name__} does not say its upscale_factor; "
                "the pyramid is for DRNNet."
            )
        expected = 2 if self.pyramid else scale
        if given is None and expected is None:
            raise ValueError(
                f"dual_network.upscale_factor: {type(self.generator).__name__} does not say its "
                "scale, so the dual network needs it."
            )
        if given and expected and given != expected:
            what = "in a pyramid every dual network has 2" if self.pyramid else f"it is x{scale}"
            raise ValueError(
                f"dual_network.upscale_factor={given} does not fit the generator: {what}."
            )
        count = scale.bit_length() - 1 if self.pyramid else 1
        cfg = {"in_channels": in_channels_of(self.generator)} | cfg
        cfg = cfg | {"upscale_factor": given or expected}
        return nn.ModuleList(MODELS.build(cfg) for _ in range(count))

    def init_weights(self) -> None:
        """Initialises the weights, then loads ``pretrained``.

        Raises:
            FileNotFoundError: There is no such checkpoint.
            CheckpointError: It cannot be loaded, or is of other networks.
        """
        super().init_weights()
        if self.distillation:
            self.distillation.load_teacher()
        if not self.pretrained:
            return
        net = getattr(self.generator, "generator", self.generator)
        checkpoint = read_checkpoint(self.pretrained, "model.pretrained")
        checkpoint.load_into(net)
        if checkpoint.part("dual_networks"):
            checkpoint.load_into(self.dual_networks, "dual_networks")
        else:
            print_log(
                f"'{self.pretrained}' has no dual networks: they start untrained.",
                logger="current",
                level=logging.WARNING,
            )

    def forward_train(
        self, inputs: Tensor, data_samples: Any = None, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            inputs: LR images ``(N, C, H, W)`` in [0, 1].
            data_samples: HR images ``(N, C, s * H, s * W)`` as ``gt_img``; the key ``unpaired``
                marks samples whose ``gt_img`` is a placeholder.
            kwargs: Further arguments of the generator.

        Returns:
            ``loss_primal``, ``loss_dual`` and, with a teacher, ``loss_distillation``.
        """
        hr = data_samples.gt_img
        images, targets = self._images(inputs, hr, **kwargs)
        self._check_sizes(inputs, images[-1], hr)
        paired = self._paired(data_samples, inputs)
        duals = self.dual_networks
        losses = dict(
            loss_primal=self._primal_loss(images, targets, paired),
            loss_dual=self.dual_loss(
                duals, images[-len(duals) :], [inputs, *targets[1:-1]], paired
            ),
        )
        if self.distillation:
            losses["loss_distillation"] = self.distillation(inputs, images[-1])
        return losses

    def _images(self, lr: Tensor, hr: Tensor, **kwargs: Any) -> tuple[list[Tensor], list[Tensor]]:
        """What the generator returns, and what it should, the lowest resolution first."""
        if not self.pyramid:
            return [self.generator(lr, **kwargs)], [hr]
        factors = (2**k for k in range(len(self.dual_networks) - 1, 0, -1))
        targets = [lr, *(downscale(hr, factor) for factor in factors), hr]
        return self.generator(lr, pyramid=True, **kwargs), targets

    def _primal_loss(self, images: list[Tensor], targets: list[Tensor], paired: Tensor) -> Tensor:
        if not paired.any():
            return 0 * torch.stack([image.sum() for image in images]).sum()
        if not paired.all():
            images, targets = ([x[paired] for x in tensors] for tensors in (images, targets))
        loss = sum(self.pixel_loss(*pair) for pair in zip(images, targets, strict=True))
        return paired.float().mean() * loss

    @staticmethod
    def _paired(data_samples: DataSample, inputs: Tensor) -> Tensor:
        unpaired = data_samples.get("unpaired", None) or [False] * len(inputs)
        return ~torch.tensor([bool(flag) for flag in unpaired], device=inputs.device)

    def _check_sizes(self, lr: Tensor, sr: Tensor, hr: Tensor) -> None:
        if sr.shape != hr.shape:
            raise ValueError(
                f"The generator makes {tuple(sr.shape[2:])} of {tuple(lr.shape[2:])}, the HR "
                f"images are {tuple(hr.shape[2:])}: its upscale_factor is not that of the data."
            )
        factor = 1
        for dual in self.dual_networks:
            factor *= getattr(dual, "upscale_factor", 1)
        if factor > 1 and hr.shape[-1] != factor * lr.shape[-1]:
            raise ValueError(
                f"dual_network: leads from SR to 1/{factor} of its size, the LR images are "
                f"1/{hr.shape[-1] / lr.shape[-1]:g} of HR."
            )


def downscale(image: Tensor, factor: int) -> Tensor:
    """Bicubic down-scaling with antialiasing, rounded to 8 bits as an LR file is.

    Args:
        image: Images ``(N, C, H, W)`` in [0, 1].
        factor: Ratio of the sizes.

    Returns:
        Images ``(N, C, H / factor, W / factor)``.
    """
    small = F.interpolate(image, scale_factor=1 / factor, mode="bicubic", antialias=True)
    return small.mul(255).round().clamp(0, 255).div(255)
