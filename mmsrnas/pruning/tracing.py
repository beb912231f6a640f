"""Which channels of a network belong together, found from one pass without values."""

import copy
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmsrnas.sizes import ShapesAlone, dtype_of, in_channels_of, min_size_of

__all__ = ["Call", "ChannelTracer", "Labels", "Product", "trace_channels"]

Labels = np.ndarray | None
"""A number for each index of a dimension; None where the indices of a dimension are of no weight.

What has the same label, or labels that are joined, is kept or removed together.
"""

PROBE = (24, 24)


@dataclass
class Call:
    """One call of an operator.

    Attributes:
        name: Name of the operator, ``'aten::add.Tensor'``.
        arguments: What it was called with, by the names of its schema.
        result: What it returned.
    """

    name: str
    arguments: dict[str, Any]
    result: Any

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors among the arguments."""
        return list(_tensors(self.arguments.values()))


@dataclass(frozen=True)
class Product:
    """Multiply-accumulates of one call: a factor times the sizes of some dimensions.

    Attributes:
        factor: How often, for each combination of indices of the dimensions.
        shape: Sizes of the dimensions.
        axes: Their labels.
        conv: What else a convolution of two dimensions is called with: arguments of its module by
            name, and ``size``, the height and width that it reads.
    """

    factor: int
    shape: tuple[int, ...]
    axes: tuple[Labels, ...]
    conv: Mapping[str, Any] | None = None


class ChannelTracer(TorchDispatchMode):
    """Follows labels of channels through every operator of a pass.

    Args:
        rules: What an operator does with the channels, by name without overload.
        pointwise: The rule of operators that torch marks as pointwise.
    """

    def __init__(self, rules: dict[str, Callable], pointwise: Callable) -> None:
        super().__init__()
        self.rules, self.pointwise = rules, pointwise
        self.count = 0
        self.joined: list[tuple[np.ndarray, np.ndarray]] = []
        self.fixed: list[tuple[np.ndarray, str]] = []
        self.produced: list[np.ndarray] = []
        self.consumed: list[np.ndarray] = []
        self.products: list[Product] = []
        self.pooled: list[np.ndarray] = []
        self.modules: list[str] = []
        self.used: set[int] = set()
        self._axes: dict[int, list[Labels]] = {}
        self._alive: list[Tensor] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        schema = func._schema.arguments
        values = {
            a.name: args[i] if i < len(args) else kwargs.get(a.name, a.default_value)
            for i, a in enumerate(schema)
        }
        call = Call(func.name(), values, result)
        self.used.update(map(id, call.tensors))
        rule = self.rules.get(func.name().removeprefix("aten::").partition(".")[0])
        if rule is None and torch.Tag.pointwise in func.tags:
            rule = self.pointwise
        if rule is not None:
            rule(self, call)
        else:
            self._leave_alone(call)
        return result

    def _leave_alone(self, call: Call) -> None:
        for tensor in call.tensors:
            for labels in self.axes(tensor):
                self.fix(labels, f"no rule for the operator '{call.name}'")

    def new(self, count: int) -> np.ndarray:
        """So many labels that nothing has yet."""
        self.count += count
        return np.arange(self.count - count, self.count)

    def label(self, tensor: Tensor) -> list[Labels]:
        """Gives every dimension of a tensor new labels."""
        self.set(tensor, [self.new(size) if size > 1 else None for size in tensor.shape])
        return self.axes(tensor)

    def axes(self, tensor: Tensor) -> list[Labels]:
        """Labels of the dimensions of a tensor."""
        return list(self._axes.get(id(tensor), [None] * tensor.ndim))

    def set(self, tensor: Tensor, axes: Sequence[Labels]) -> None:
        """Says the labels of the dimensions of a tensor."""
        self._axes[id(tensor)] = list(axes)
        self._alive.append(tensor)  # so that no other tensor gets its id

    def match(self, first: Labels, second: Labels) -> None:
        """Joins the labels of two dimensions of one size, index by index."""
        if first is None or second is None:
            self.fix(first, "meets values that belong to no channel, say of the image")
            self.fix(second, "meets values that belong to no channel, say of the image")
        elif len(first) != len(second):
            raise ValueError(f"dimensions of {len(first)} and {len(second)} cannot be matched.")
        else:
            self.joined.append((first, second))

    def fix(self, labels: Labels, reason: str) -> None:
        """Keeps channels from being removed, and says why."""
        if labels is not None:
            place = f" in '{self.modules[-1]}'" if self.modules and self.modules[-1] else ""
            self.fixed.append((labels, reason + place))

    def consume(self, inputs: Labels, weights: Labels) -> None:
        """Channels are summed up with weights."""
        self.match(inputs, weights)
        if weights is not None:
            self.consumed.append(weights)

    def produce(self, outputs: Labels) -> Labels:
        """Channels come out of a weighted sum."""
        if outputs is not None:
            self.produced.append(outputs)
        return outputs


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


@torch.inference_mode(False)
@torch.no_grad()
def trace_channels(
    net: nn.Module, image_size: tuple[int, int, int] | None = None
) -> tuple[ChannelTracer, dict[str, list[Labels]]]:
    """Labels of all channels of a network.

    Args:
        net: The network; it is left as it was.
        image_size: ``(C, H, W)`` of the image.

    Returns:
        The tracer after the pass, and the labels of every parameter and buffer by name.
    """
    from .rules import RULES, pointwise

    size = image_size or (in_channels_of(net), *(max(side, min_size_of(net)) for side in PROBE))
    shadow = copy.deepcopy(net).to("meta")
    tracer = ChannelTracer(RULES, pointwise)
    for name, module in shadow.named_modules():
        module.register_forward_pre_hook(partial(_enter, tracer, name))
        module.register_forward_hook(partial(_leave, tracer))
    named = {**dict(shadow.named_parameters()), **dict(shadow.named_buffers())}
    labels = {name: tracer.label(tensor) for name, tensor in named.items()}
    has_pyramid = "pyramid" in inspect.signature(net.forward).parameters
    for training in (False, True):
        if training and all(id(param) in tracer.used for param in shadow.parameters()):
            break
        # A network may train with more than it runs with. Batch normalisation behind a pooling does
        # not train on one image.
        shadow.train(training)
        counted = tracer.products
        tracer.products = []
        image = torch.empty(1 + training, *size, device="meta", dtype=dtype_of(net))
        with ShapesAlone(), tracer:
            result = shadow(image, **({"pyramid": True} if has_pyramid and training else {}))
        for tensor in _tensors([result]):
            for axis in tracer.axes(tensor):
                tracer.fix(axis, "is the output")
        tracer.products = counted or tracer.products
    return tracer, labels


def _enter(tracer: ChannelTracer, name: str, module: nn.Module, inputs: Any) -> None:
    tracer.modules.append(name)


def _leave(tracer: ChannelTracer, module: nn.Module, inputs: Any, output: Any) -> None:
    tracer.modules.pop()
