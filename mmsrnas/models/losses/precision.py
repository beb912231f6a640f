"""Single precision for what half precision cannot compute."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

__all__ = ["full_precision"]

P = ParamSpec("P")
R = TypeVar("R")


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator that computes a loss in float32, whatever the precision of the network.

    A loss subtracts numbers that are nearly equal, and some take logarithms of the difference:
    bfloat16 has 8 bits for them, and squares of float16 overflow. Autocast is off inside, and
    half-precision tensors among the arguments, also in lists and dicts, become float32 by a cast
    that gradients pass. Float64 stays.

    Args:
        function: A function of tensors, such as the ``forward`` of a loss. Networks that it runs
            lose autocast too: decorate what compares their outputs instead.

    Returns:
        The function in full precision.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        args, kwargs = tree_map(_to_full, (args, kwargs))
        devices = (x.device.type for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor))
        with torch.autocast(next(devices, "cpu"), enabled=False):
            return function(*args, **kwargs)

    return wrapper


def _to_full(value: object) -> object:
    if isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16):
        return value.float()
    return value
