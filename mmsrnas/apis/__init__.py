"""Helpers from a trained network to its use."""

from .generator import init_generator
from .onnx import export_onnx

__all__ = ["export_onnx", "init_generator"]
