"""Training of all networks of a space at once, the largest and the smallest in every step."""

from typing import Any

import torch
from torch import Tensor

from mmsrnas.models.supernet import SandwichSpace
from mmsrnas.registry import MODELS

from .path_editor import PathEditor

__all__ = ["SandwichEditor"]


@MODELS.register_module()
class SandwichEditor(PathEditor):
    """Training of shared weights by the sandwich rule.

    Every step trains the largest, the smallest and some random networks of a supernet on the same
    batch (arXiv 1903.05134). The loss is the mean over the networks. Draws and distributed training
    are those of :class:`PathEditor`.

    All learn from the ground truth alone. The in-place distillation of the source keeps the shared
    weights from learning here: the gradient of an L1 loss to the largest network's image and that
    to the ground truth cancel wherever a pixel lies between both.

    Args:
        generator: Config of a :class:`~mmsrnas.models.supernet.PathSupernet` whose space is a
            :class:`~mmsrnas.models.supernet.SandwichSpace`.
        pixel_loss: Config of the loss between SR and HR.
        num_random: Random networks in each step.
        seed: Seed of the draws.
        kwargs: ``train_cfg``, ``test_cfg``, ``init_cfg``, ``data_preprocessor``.

    Raises:
        TypeError: The generator is no such supernet.
        ValueError: ``num_random`` is below 0.
    """

    def __init__(
        self, generator: dict, pixel_loss: dict, num_random: int = 2, seed: int = 0, **kwargs: Any
    ) -> None:
        if num_random < 0:
            raise ValueError(f"SandwichEditor: expected num_random >= 0, got {num_random}.")
        super().__init__(generator, pixel_loss, 2 + num_random, seed, **kwargs)
        if not isinstance(self.generator.space, SandwichSpace):
            raise TypeError(
                f"SandwichEditor.generator: {type(self.generator.space).__name__} has no largest "
                "and smallest network; take type='mmsrnas.PathEditor'."
            )

    def draw_tokens(self, draws: torch.Generator) -> Tensor:
        """Rows of tokens of the largest, the smallest and random networks."""
        return self.generator.space.sandwich(self.num_paths - 2, draws)
