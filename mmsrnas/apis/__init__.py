"""Helpers from a trained network to its use."""

from .generator import adopt_genotype, init_generator
from .onnx import export_onnx

__all__ = ["adopt_genotype", "export_onnx", "init_generator"]
