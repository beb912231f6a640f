"""Training of a network beside a larger one that has been trained."""

from typing import Any

from mmagic.models.base_models import BaseEditModel
from torch import Tensor

from mmsrnas.registry import MODELS

__all__ = ["DistillationEditor"]


@MODELS.register_module()
class DistillationEditor(BaseEditModel):
    """``BaseEditModel`` whose loss has a teacher in it.

    Args:
        generator: Config of the network.
        pixel_loss: Config of the loss between SR and HR.
        distillation: Config of a :class:`~mmsrnas.models.losses.DistillationLoss`.
        kwargs: ``train_cfg``, ``test_cfg``, ``init_cfg``, ``data_preprocessor``.

    Raises:
        ValueError: The teacher has another scale.
    """

    def __init__(
        self, generator: dict, pixel_loss: dict, distillation: dict, **kwargs: Any
    ) -> None:
        super().__init__(generator=generator, pixel_loss=pixel_loss, **kwargs)
        self.distillation: Any = MODELS.build(distillation)
        self.distillation.watch(self.generator)

    def init_weights(self) -> None:
        """Initialises the weights, and loads those of the teacher.

        Raises:
            FileNotFoundError: The teacher's checkpoint is missing.
            CheckpointError: It is of another network.
        """
        super().init_weights()
        self.distillation.load_teacher()

    def forward_train(
        self, inputs: Tensor, data_samples: Any = None, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            inputs: Degraded images ``(N, C, H, W)`` in [0, 1].
            data_samples: Clean images ``(N, C, s * H, s * W)`` as ``gt_img``.
            kwargs: Further arguments of the generator.

        Returns:
            ``loss_pixel`` and ``loss_distillation``.
        """
        restored = self.generator(inputs, **kwargs)
        return {
            "loss_pixel": self.pixel_loss(restored, data_samples.gt_img),
            "loss_distillation": self.distillation(inputs, restored),
        }
