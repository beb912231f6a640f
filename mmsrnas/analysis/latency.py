"""Wall time of a network."""

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

__all__ = ["Latency", "measure_latency"]


@dataclass(frozen=True)
class Latency:
    """Wall time for one image.

    Attributes:
        seconds: Median over the repetitions.
        fastest: Fastest repetition, in seconds.
        slowest: Slowest repetition, in seconds.
        conditions: Device, threads, memory format, precision and image size, for the reader.
    """

    seconds: float
    fastest: float
    slowest: float
    conditions: str

    def __str__(self) -> str:
        spread = f"{self.fastest * 1e3:.1f} to {self.slowest * 1e3:.1f}"
        return f"{self.seconds * 1e3:.1f} ms (median; {spread} ms) on {self.conditions}"


@torch.inference_mode()
def measure_latency(
    network: nn.Module,
    input_size: tuple[int, int, int],
    device: str = "cpu",
    threads: int | None = None,
    channels_last: bool = False,
    bf16: bool = False,
    repeats: int = 5,
    warmup: int = 1,
) -> Latency:
    """Measures the wall time of one forward pass on a random image.

    Args:
        network: A network that maps ``(N, C, H, W)`` images; it is moved to the device.
        input_size: ``(C, H, W)`` of the input.
        device: Device as torch names it.
        threads: Threads of torch on the CPU; the process's setting where it is None.
        channels_last: Store weights and input channels-last.
        bf16: Run in bfloat16 autocast.
        repeats: Measured passes.
        warmup: Passes before the measurement.

    Returns:
        The median and its conditions.
    """
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    to: Any = network.to  # torch does not declare `memory_format`
    network = to(device, memory_format=memory_format).eval()
    image = torch.rand(1, *input_size, device=device).to(memory_format=memory_format)
    kind = torch.device(device).type
    with _threads(threads), torch.autocast(kind, torch.bfloat16, enabled=bf16):
        for _ in range(warmup):
            network(image)
        seconds = sorted(_seconds(network, image) for _ in range(repeats))
        where = _conditions(device, channels_last, bf16)
    median = (seconds[(repeats - 1) // 2] + seconds[repeats // 2]) / 2
    size = f"{input_size[2]}x{input_size[1]} in"
    return Latency(median, seconds[0], seconds[-1], f"{where}, {size}, {repeats} passes")


def _seconds(network: nn.Module, image: torch.Tensor) -> float:
    _synchronize(image)
    start = time.perf_counter()
    network(image)
    _synchronize(image)
    return time.perf_counter() - start


def _synchronize(tensor: torch.Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _conditions(device: str, channels_last: bool, bf16: bool) -> str:
    if torch.device(device).type == "cuda":
        where = torch.cuda.get_device_name(device)
    else:
        threads = torch.get_num_threads()
        where = f"{platform.machine()} CPU, {threads} thread{'s' if threads > 1 else ''}"
    layout = "channels-last" if channels_last else "NCHW"
    return f"{where}, {'bf16' if bf16 else 'fp32'}, {layout}, torch {torch.__version__}"
