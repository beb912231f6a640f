"""Helpers from a trained network to its use."""

from .generator import init_generator
from .onnx import export_onnx
from .pruning import Pruned, prune

__all__ = ["Pruned", "export_onnx", "init_generator", "prune"]
