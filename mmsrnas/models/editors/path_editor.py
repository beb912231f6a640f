"""Training of the networks of a space by random paths."""

from typing import Any

import torch
from mmagic.models.base_models import BaseEditModel
from torch import Tensor

from mmsrnas.models.supernet import PathSupernet
from mmsrnas.registry import MODELS

__all__ = ["PathEditor"]


@MODELS.register_module()
class PathEditor(BaseEditModel):
    """Training of shared weights by uniform paths (arXiv 1904.00420), fair within a step.

    Every step trains some random networks of a supernet on the same batch; among as many of them
    as there are operations, each operation is there once in every place (arXiv 1907.01845). The
    loss is the mean over the networks. What is best is decided afterwards, by judging networks
    with the shared weights: nothing can collapse.

    Which networks are drawn depends on ``seed`` and the number of the step alone, a buffer of the
    editor: a resumed run draws the same, and so does every process of distributed training. An
    operation that was not drawn has no gradient in a step, so that distributed training needs
    ``find_unused_parameters = True`` in the config.

    Args:
        generator: Config of a :class:`~mmsrnas.models.supernet.PathSupernet`.
        pixel_loss: Config of the loss between SR and HR.
        num_paths: Networks in each step.
        seed: Seed of the draws.
        kwargs: ``train_cfg``, ``test_cfg``, ``init_cfg``, ``data_preprocessor``.

    Raises:
        TypeError: The generator is no such supernet.
        ValueError: ``num_paths`` is below 1.
    """

    steps: Tensor

    def __init__(
        self,
        generator: dict,
        pixel_loss: dict,
        num_paths: int = 1,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(generator=generator, pixel_loss=pixel_loss, **kwargs)
        if not isinstance(self.generator, PathSupernet):
            raise TypeError(
                f"{type(self).__name__}.generator: {type(self.generator).__name__} has no `space` "
                "and no `extract()`; take a supernet that has, say type='mmsrnas.SharedSupernet' "
                "or type='mmsrnas.ElasticSupernet', or another editor."
            )
        if num_paths < 1:
            raise ValueError(f"{type(self).__name__}: expected num_paths >= 1, got {num_paths}.")
        self.num_paths = num_paths
        self.seed = seed
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def draw(self) -> list[Any]:
        """The networks of a step, and one step further in the sequence of draws."""
        # The generator uses 32 bits of its seed: a prime keeps the sequences of two seeds apart.
        draws = torch.Generator().manual_seed(self.seed * 1_000_003 + int(self.steps))
        self.steps += 1
        return list(map(self.generator.space.decode, self.draw_tokens(draws)))

    def draw_tokens(self, draws: torch.Generator) -> Tensor:
        """Rows of tokens of the networks of a step."""
        return self.generator.space.batch(self.num_paths, draws)

    def forward_train(
        self, inputs: Tensor, data_samples: Any = None, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            inputs: LR images ``(N, C, H, W)`` in [0, 1].
            data_samples: HR images ``(N, C, s * H, s * W)`` as ``gt_img``.
            kwargs: Further arguments of the generator.

        Returns:
            ``loss``, the mean over the networks.
        """
        hr = data_samples.gt_img
        losses = [self.pixel_loss(self.generator(inputs, a, **kwargs), hr) for a in self.draw()]
        return dict(loss=torch.stack(losses).mean())
