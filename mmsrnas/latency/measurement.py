"""Times of networks on a target."""

import ctypes
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from .runtimes import prepare
from .targets import Target

__all__ = [
    "Measurement",
    "NoisyMeasurementError",
    "measure",
    "measure_all",
    "peak_memory",
    "time_calls",
]

MAX_SPREAD = 0.10
MIN_SECONDS = 0.02
"""Time of one sample: shorter calls are repeated within it."""


class NoisyMeasurementError(RuntimeError):
    """The machine is too busy for a time that could be trusted."""


@dataclass(frozen=True)
class Measurement:
    """Time of a network for one image.

    Attributes:
        milliseconds: Median of the samples.
        spread: Distance between the quartiles of the samples, as a share of the median.
        target: What it was measured on.
        samples: Number of samples.
    """

    milliseconds: float
    spread: float
    target: Target
    samples: int

    def __str__(self) -> str:
        return (
            f"{self.milliseconds:.2f} ms (median of {self.samples}, quartiles within "
            f"{self.spread:.0%}) on {self.target}"
        )


def measure(
    network: nn.Module | Path, target: Target, samples: int = 9, max_spread: float = MAX_SPREAD
) -> Measurement:
    """Times one network, see :func:`measure_all`."""
    return measure_all({"network": network}, target, samples, max_spread)["network"]


def measure_all(
    networks: Mapping[str, nn.Module | Path],
    target: Target,
    samples: int = 9,
    max_spread: float = MAX_SPREAD,
    attempts: int = 3,
) -> dict[str, Measurement]:
    """Times several networks in turn, so that a slow moment of the machine hits all alike.

    On one thread of a CPU the clock is the CPU time of the process, which does not run while
    other processes have the core.

    Args:
        networks: Networks, or ONNX files for onnxruntime, by name, each for images
            ``(1, C, H, W)`` of the target's size.
        target: Where.
        samples: Times of each network, after one pass to warm up.
        max_spread: Largest spread that is trusted.
        attempts: How often a network with a larger spread is timed again.

    Returns:
        A measurement for each network.

    Raises:
        NoisyMeasurementError: The spread stays larger.
    """
    with ExitStack() as stack:
        calls = {k: stack.enter_context(prepare(net, target)) for k, net in networks.items()}
        done: dict[str, Measurement] = {}
        for _ in range(attempts):
            times = time_calls({k: c for k, c in calls.items() if k not in done}, target, samples)
            found = {k: _summary(values, target) for k, values in times.items()}
            done |= {k: m for k, m in found.items() if m.spread <= max_spread}
            if len(done) == len(calls):
                return {name: done[name] for name in calls}
    worst, value = max(
        ((k, m) for k, m in found.items() if k not in done), key=lambda item: item[1].spread
    )
    raise NoisyMeasurementError(
        f"the time of '{worst}' varies by {value.spread:.0%} around {value.milliseconds:.1f} ms on "
        f"{target}, {attempts} times in a row; up to {max_spread:.0%} is trusted. Stop other work "
        "on this machine, or allow more by max_spread."
    )


def peak_memory(network: nn.Module | Path, target: Target) -> float | None:
    """Memory that the first image takes, beside what the network itself does.

    Args:
        network: As for :func:`measure_all`.
        target: Where.

    Returns:
        The most at any time, in MB (1e6 bytes); None on the CPU where the system is not Linux.
    """
    with prepare(network, target) as call:
        if target.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            call()
            return (torch.cuda.max_memory_allocated() - before) / 1e6
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)  # or what is free already is used first
            Path("/proc/self/clear_refs").write_text("5")  # the peak is what is used now
        except OSError:
            return None
        before = _status("VmHWM")
        call()
        return (_status("VmHWM") - before) * 1024 / 1e6


def _status(key: str) -> int:
    """A number of the process, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1])


def time_calls(
    calls: Mapping[str, Callable[[], None]], target: Target, samples: int
) -> dict[str, list[float]]:
    """Milliseconds of each call, sample by sample in turn, after one call to warm up."""
    clock = time.process_time if _is_single_threaded(target) else time.perf_counter
    sync = torch.cuda.synchronize if target.device == "cuda" else _nothing
    repeats = {}
    for name, call in calls.items():
        call()
        sync()
        start = time.perf_counter()
        call()
        sync()
        repeats[name] = max(1, round(MIN_SECONDS / max(time.perf_counter() - start, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(samples):
        for name, call in calls.items():
            sync()
            start = clock()
            for _ in range(repeats[name]):
                call()
            sync()
            times[name].append((clock() - start) / repeats[name] * 1e3)
    return times


def _is_single_threaded(target: Target) -> bool:
    return target.device == "cpu" and target.threads == 1


def _nothing() -> None:
    pass


def _summary(values: Sequence[float], target: Target) -> Measurement:
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return Measurement(median, (upper - lower) / median, target, len(values))
