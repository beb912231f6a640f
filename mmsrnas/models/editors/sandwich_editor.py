"""Training of all networks of a space at once."""

from typing import Any

import torch
from torch import Tensor

from mmsrnas.models.supernet import SandwichSpace
from mmsrnas.registry import MODELS

from .path_editor import PathEditor

__all__ = ["SandwichEditor"]


@MODELS.register_module()
class SandwichEditor(PathEditor):
    """Training of shared weights by the sandwich rule with in-place distillation.

    Every step trains the largest, the smallest and some random networks of a supernet on the same
    batch (arXiv 1903.05134, 2003.11142). The largest learns from the ground truth; the others from
    the ground truth and from what the largest made in this very step. The loss is the mean over the
    networks. Draws and distributed training are those of :class:`PathEditor`.

    Args:
        generator: Config of a :class:`~mmsrnas.models.supernet.PathSupernet` whose space is a
            :class:`~mmsrnas.models.supernet.SandwichSpace`.
        pixel_loss: Config of the loss between SR and HR.
        num_random: Random networks in each step.
        distillation: Weight of the largest network's images in the targets of the others, from 0
            to 1; the ground truth has the rest.
        seed: Seed of the draws.
        kwargs: ``train_cfg``, ``test_cfg``, ``init_cfg``, ``data_preprocessor``.

    Raises:
        TypeError: The generator is no such supernet.
        ValueError: ``num_random`` or ``distillation`` is out of range.
    """

    def __init__(
        self,
        generator: dict,
        pixel_loss: dict,
        num_random: int = 2,
        distillation: float = 0.5,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        if num_random < 0 or not 0 <= distillation <= 1:
            raise ValueError(
                "SandwichEditor: expected num_random >= 0 and distillation from 0 to 1, got "
                f"{num_random} and {distillation}."
            )
        super().__init__(generator, pixel_loss, 2 + num_random, seed, **kwargs)
        if not isinstance(self.generator.space, SandwichSpace):
            raise TypeError(
                f"SandwichEditor.generator: {type(self.generator.space).__name__} has no largest "
                "and smallest network; take type='mmsrnas.PathEditor'."
            )
        self.distillation = distillation

    def draw_tokens(self, draws: torch.Generator) -> Tensor:
        """Rows of tokens of the largest, the smallest and random networks."""
        return self.generator.space.sandwich(self.num_paths - 2, draws)

    def forward_train(
        self, inputs: Tensor, data_samples: Any = None, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            inputs: LR images ``(N, C, H, W)`` in [0, 1].
            data_samples: HR images ``(N, C, s * H, s * W)`` as ``gt_img``.
            kwargs: Further arguments of the generator.

        Returns:
            ``loss_largest``, ``loss_smallest`` and, where there are any, ``loss_random``.
        """
        hr = data_samples.gt_img
        largest, *others = self.draw()
        teacher = self.generator(inputs, largest, **kwargs)
        losses = [self.pixel_loss(teacher, hr)]
        teacher, share = teacher.detach(), self.distillation
        for architecture in others:
            sr = self.generator(inputs, architecture, **kwargs)
            loss = (1 - share) * self.pixel_loss(sr, hr) + share * self.pixel_loss(sr, teacher)
            losses.append(loss)
        largest, smallest, *rest = (loss / len(losses) for loss in losses)
        named = dict(loss_largest=largest, loss_smallest=smallest)
        return named | ({"loss_random": torch.stack(rest).sum()} if rest else {})
