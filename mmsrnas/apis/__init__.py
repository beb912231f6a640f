"""Helpers from a trained network to its use."""

from .generator import adopt_genotype, init_generator
from .onnx import export_onnx
from .pruning import Pruned, prune

__all__ = ["Pruned", "adopt_genotype", "export_onnx", "init_generator", "prune"]
