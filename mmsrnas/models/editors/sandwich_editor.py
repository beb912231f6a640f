"""Training of all networks of a space at once."""

from typing import Any

import torch
from mmagic.models.base_models import BaseEditModel
from torch import Tensor

from mmsrnas.models.supernet import SandwichSupernet
from mmsrnas.registry import MODELS

__all__ = ["SandwichEditor"]


@MODELS.register_module()
class SandwichEditor(BaseEditModel):
    """Training of shared weights by the sandwich rule with in-place distillation.

    Every step trains the largest, the smallest and some random networks of a supernet on the same
    batch (arXiv 1903.05134, 2003.11142). The largest learns from the ground truth; the others from
    the ground truth and from what the largest made in this very step. The loss is the mean over the
    networks.

    Which networks are drawn depends on ``seed`` and the number of the step alone, a buffer of the
    editor: a resumed run draws the same, and so does every process of distributed training. An
    operation that was not drawn has no gradient in a step, so that distributed training needs
    ``find_unused_parameters = True`` in the config.

    Args:
        generator: Config of a :class:`~mmsrnas.models.supernet.SandwichSupernet`.
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

    steps: Tensor

    def __init__(
        self,
        generator: dict,
        pixel_loss: dict,
        num_random: int = 2,
        distillation: float = 0.5,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(generator=generator, pixel_loss=pixel_loss, **kwargs)
        if not isinstance(self.generator, SandwichSupernet):
            raise TypeError(
                f"SandwichEditor.generator: {type(self.generator).__name__} has no `space` with a "
                "`sandwich()`; take a supernet that has, say type='mmsrnas.ElasticSupernet', or "
                "another editor."
            )
        if num_random < 0 or not 0 <= distillation <= 1:
            raise ValueError(
                "SandwichEditor: expected num_random >= 0 and distillation from 0 to 1, got "
                f"{num_random} and {distillation}."
            )
        self.num_random = num_random
        self.distillation = distillation
        self.seed = seed
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward_train(
        self, inputs: Tensor, data_samples: Any = None, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Losses of a batch, and one step further in the sequence of draws.

        Args:
            inputs: LR images ``(N, C, H, W)`` in [0, 1].
            data_samples: HR images ``(N, C, s * H, s * W)`` as ``gt_img``.
            kwargs: Further arguments of the generator.

        Returns:
            ``loss_largest``, ``loss_smallest`` and, where there are any, ``loss_random``.
        """
        hr, space = data_samples.gt_img, self.generator.space
        # The generator uses 32 bits of its seed: a prime keeps the sequences of two seeds apart.
        draws = torch.Generator().manual_seed(self.seed * 1_000_003 + int(self.steps))
        self.steps += 1
        largest, *others = map(space.decode, space.sandwich(self.num_random, draws))
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
