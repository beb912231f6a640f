"""torch, eager or compiled."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mmsrnas.latency.targets import Target
from mmsrnas.sizes import ShapesAlone, in_channels_of

from .operator import Operator, conv_kind

__all__ = ["list_operators", "prepare", "prepare_operator", "torch_threads"]

_LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@contextmanager
def prepare(network: nn.Module, target: Target) -> Iterator[Callable[[], None]]:
    """Makes a network ready; yields what runs it once."""
    layout = _LAYOUTS[target.memory_format]
    network = _to_layout(copy.deepcopy(network).eval().to(target.device), layout)
    image = torch.rand(1, in_channels_of(network), *target.input_size, device=target.device)
    image = image.contiguous(memory_format=layout)
    run = torch.compile(network) if target.runtime == "torch.compile" else network
    autocast = torch.autocast(
        target.device, _DTYPES[target.precision], enabled=target.precision != "fp32"
    )

    def call() -> None:
        with torch.inference_mode(), autocast:
            run(image)

    with _threads(target):
        yield call


def _threads(target: Target) -> AbstractContextManager[None]:
    return torch_threads(target.threads) if target.device == "cpu" else nullcontext()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Lets torch compute with so many threads of the CPU, and with as many as before afterwards.

    Args:
        count: Number of threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Recorder(TorchDispatchMode):
    """Notes every call of an operator that computes something."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Operator] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not func.is_view:
            self.calls.append(_operator(func, args, kwargs))
        return func(*args, **kwargs)


class _TensorSpec:
    """Shape, strides and type of a tensor argument."""

    def __init__(self, tensor: Tensor) -> None:
        self.shape, self.stride, self.dtype = tensor.shape, tensor.stride(), tensor.dtype

    def __repr__(self) -> str:
        layout = "" if self.stride[-1:] in ((1,), ()) else f"/{list(self.stride)}"
        return f"{str(self.dtype).removeprefix('torch.')}{list(self.shape)}{layout}"

    def random(self, device: str) -> Tensor:
        values = torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device=device)
        return values.uniform_() if self.dtype.is_floating_point else values.zero_()


def _operator(func: Any, args: tuple, kwargs: dict) -> Operator:
    def spec(value: Any) -> Any:
        if isinstance(value, Tensor):
            return _TensorSpec(value)
        return [spec(v) for v in value] if isinstance(value, list | tuple) else value

    specs = [spec(value) for value in args]
    named = {key: spec(value) for key, value in kwargs.items() if key not in ("device", "layout")}
    kind = "memory"
    if func is torch.ops.aten.convolution.default:
        kind = conv_kind(tuple(args[1].shape[2:]), args[8])
    return Operator(f"{func.name()} {specs} {named or ''}".strip(), kind, (func, specs, named))


def _to_layout(network: Any, layout: torch.memory_format) -> nn.Module:
    return network.to(memory_format=layout)  # which torch does not declare


@torch.inference_mode(False)
@torch.no_grad()
def list_operators(
    network: nn.Module, target: Target, input_size: tuple[int, int, int]
) -> Sequence[Operator]:
    """The aten operators of a pass, recorded on tensors without data."""
    if target.runtime != "torch":
        raise ValueError(
            f"target.runtime: '{target.runtime}' fuses operators while it runs; its latency is "
            "measured, not predicted. Predict for 'torch' or 'onnxruntime'."
        )
    layout, dtype = _LAYOUTS[target.memory_format], _DTYPES[target.precision]
    shadow = _to_layout(copy.deepcopy(network).eval().to(target.device, dtype), layout)
    # Unlike those of the meta device, fake tensors have the layouts that real ones would have.
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    tensors: dict[str, Tensor] = {**dict(shadow.named_parameters()), **dict(shadow.named_buffers())}
    tensors = {name: fake.from_tensor(tensor) for name, tensor in tensors.items()}
    image = torch.empty(1, *input_size, dtype=dtype, device=target.device)
    image = fake.from_tensor(image.contiguous(memory_format=layout))
    with fake, ShapesAlone(), _Recorder() as recorder:
        torch.func.functional_call(shadow, tensors, (image,))
    return recorder.calls


@contextmanager
def prepare_operator(operator: Operator, target: Target) -> Iterator[Callable[[], None]]:
    """Makes one operator ready on random data."""
    func, specs, named = operator.spec

    def real(value: Any) -> Any:
        if isinstance(value, _TensorSpec):
            return value.random(target.device)
        return [real(v) for v in value] if isinstance(value, list) else value

    args = [real(spec) for spec in specs]
    kwargs = {key: real(spec) for key, spec in named.items()}

    def call() -> None:
        with torch.inference_mode():
            func(*args, **kwargs)

    with _threads(target):
        yield call
