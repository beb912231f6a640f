"""One operator of a network on a runtime."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Operator"]


@dataclass(frozen=True)
class Operator:
    """What the time of an operator depends on.

    Attributes:
        key: Name, shapes and attributes; operators of one key take the same time.
        kind: ``'conv'``, ``'depthwise'`` or ``'pointwise'`` for convolutions, else
            ``'memory'``.
        spec: What the runtime runs it from.
    """

    key: str
    kind: str
    spec: Any = field(compare=False, repr=False)


def conv_kind(kernel: tuple[int, ...], groups: int) -> str:
    """Kind of a convolution."""
    if groups > 1:
        return "depthwise"
    return "pointwise" if set(kernel) == {1} else "conv"
