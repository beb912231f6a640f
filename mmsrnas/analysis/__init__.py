"""What a network costs and how it compares: parameters, Multi-Adds, latency, tables, plots."""

from .complexity import (
    Complexity,
    count_complexity,
    input_size_of,
    lr_size_of,
    read_hr_size,
    upscale_factor_of,
)
from .latency import Latency, measure_latency

__all__ = [
    "Complexity",
    "Latency",
    "count_complexity",
    "input_size_of",
    "lr_size_of",
    "measure_latency",
    "read_hr_size",
    "upscale_factor_of",
]
