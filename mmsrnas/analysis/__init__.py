"""What a network costs and how it compares: parameters, Multi-Adds, latency, tables, plots."""

from .breakdown import operator_table
from .complexity import (
    Complexity,
    count_complexity,
    input_size_of,
    lr_size_of,
    read_hr_size,
    upscale_factor_of,
)

__all__ = [
    "Complexity",
    "count_complexity",
    "input_size_of",
    "lr_size_of",
    "operator_table",
    "read_hr_size",
    "upscale_factor_of",
]
