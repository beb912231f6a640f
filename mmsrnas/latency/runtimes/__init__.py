"""How each runtime runs a network, and of which operators it makes one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from mmsrnas.latency.targets import Target
from mmsrnas.sizes import in_channels_of

from . import onnx_runtime, openvino_runtime, torch_runtime
from .operator import Operator

__all__ = ["Operator", "empty_operator", "list_operators", "prepare", "prepare_operator"]

_RUNTIMES: dict[str, Any] = {
    "torch": torch_runtime,
    "torch.compile": torch_runtime,
    "onnxruntime": onnx_runtime,
    "openvino": openvino_runtime,
}


@contextmanager
def prepare(network: nn.Module | Path, target: Target) -> Iterator[Callable[[], None]]:
    """Makes a network, or an ONNX file, ready on a target; yields what runs it once on one image.

    Raises:
        ValueError: It is a file, and the runtime is not onnxruntime.
    """
    if isinstance(network, Path) and target.runtime != "onnxruntime":
        raise ValueError(f"'{network}': an ONNX file is measured by onnxruntime, not on {target}.")
    with _RUNTIMES[target.runtime].prepare(network, target) as call:
        yield call


def list_operators(
    network: nn.Module, target: Target, input_size: tuple[int, int, int] | None = None
) -> Sequence[Operator]:
    """The operators that the runtime makes of a network, in order, without running it.

    Args:
        network: A network, or a part of one.
        target: The target.
        input_size: ``(C, H, W)`` of the input; an image of the target's size if None.

    Raises:
        ValueError: The runtime does not tell.
    """
    input_size = input_size or (in_channels_of(network), *target.input_size)
    return _RUNTIMES[target.runtime].list_operators(network, target, input_size)


def empty_operator(target: Target) -> Operator | None:
    """What takes the time that every operator takes only when it runs alone; None if nothing."""
    return onnx_runtime.empty_operator() if target.runtime == "onnxruntime" else None


@contextmanager
def prepare_operator(operator: Operator, target: Target) -> Iterator[Callable[[], None]]:
    """Makes one operator ready on random data; yields what runs it once."""
    with _RUNTIMES[target.runtime].prepare_operator(operator, target) as call:
        yield call
