"""What the engine asks of the model that is searched, and of the run."""

from typing import Any

from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import nn

from mmsrnas.models.supernet import Supernet

__all__ = ["find_supernet", "is_training", "require_supernet", "unwrap"]


def unwrap(model: Any) -> Any:
    """The editor itself, without the wrapper of distributed training."""
    return model.module if is_model_wrapper(model) else model


def is_training(runner: Runner) -> bool:
    """Tells a training run from one that only validates or tests, in hooks of both."""
    return isinstance(runner._train_loop, BaseLoop)  # `train_loop` would build it


def find_supernet(model: nn.Module) -> Supernet:
    """Finds the supernet of an editor.

    Args:
        model: A ``BaseEditModel`` or the distributed wrapper of one.

    Returns:
        Its ``generator``.

    Raises:
        TypeError: The generator is no supernet.
    """
    return require_supernet(getattr(unwrap(model), "generator", None))


def require_supernet(generator: nn.Module | None) -> Supernet:
    """Returns the generator of an editor if it is a supernet.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(generator, Supernet):
        raise TypeError(
            f"model.generator: a search needs a supernet, got {type(generator).__name__}, which "
            "has no `arch_parameters()` and `genotype()`. Name a supernet (say "
            "type='mmsrnas.DLSRSupernet'), or train this network without the search hooks and "
            "constructor."
        )
    return generator
