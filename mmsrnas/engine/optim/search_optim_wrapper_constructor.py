"""Optimizer of the weights of a supernet."""

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn

from mmsrnas.engine.supernet import find_supernet, unwrap
from mmsrnas.registry import OPTIM_WRAPPER_CONSTRUCTORS

__all__ = ["SearchOptimWrapperConstructor"]


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class SearchOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Gives the optimizer every parameter except the architecture parameters.

    Those belong to :class:`~mmsrnas.engine.hooks.ArchOptimizerHook`. All options of mmengine's
    default constructor, ``paramwise_cfg`` too, keep their meaning.

    ``clip_grad`` clips the gradients of the generator alone: those of, say, dual networks have
    another size and another loss.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Builds the optimizer wrapper of the weights.

        Args:
            model: Editor whose generator is a supernet.

        Returns:
            The wrapper that ``optim_wrapper`` describes.

        Raises:
            TypeError: The generator is no supernet.
        """
        arch = {param for _, param in find_supernet(model).arch_parameters()}
        wrapper: Any = super().__call__(model)
        optimizer = wrapper.optimizer
        for group in optimizer.param_groups:
            group["params"] = [param for param in group["params"] if param not in arch]
        optimizer.param_groups[:] = [group for group in optimizer.param_groups if group["params"]]
        for param in arch:
            optimizer.state.pop(param, None)
        if wrapper.clip_grad_kwargs:
            generator, clip = set(unwrap(model).generator.parameters()), wrapper.clip_func
            wrapper.clip_func = lambda params, **kwargs: clip(
                [param for param in params if param in generator], **kwargs
            )
        return wrapper
