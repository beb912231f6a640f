"""Mixed precision where mmengine's wrapper refuses to run: on a CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from torch import nn

from mmsrnas.registry import OPTIM_WRAPPERS

__all__ = ["AutocastOptimWrapper"]


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Runs the forward pass in bfloat16, without loss scaling.

    bfloat16 has the exponent range of float32, so that gradients do not underflow and need no
    ``GradScaler``, which is what ties :class:`mmengine.optim.AmpOptimWrapper` to a GPU.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Wraps the forward pass of a training step.

        Args:
            model: The model that is trained.
        """
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
