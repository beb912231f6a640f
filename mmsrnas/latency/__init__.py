"""Latency: milliseconds of networks on a target, measured, or predicted from an operator table."""

from .measurement import Measurement, NoisyMeasurementError, measure, measure_all, peak_memory
from .table import OperatorTable, default_table_path
from .targets import Target, parse_target

__all__ = [
    "Measurement",
    "NoisyMeasurementError",
    "OperatorTable",
    "Target",
    "default_table_path",
    "measure",
    "measure_all",
    "parse_target",
    "peak_memory",
]
