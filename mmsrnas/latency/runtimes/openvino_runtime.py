"""OpenVINO on the CPU: measured, never predicted."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from torch import nn

from mmsrnas.latency.targets import Target
from mmsrnas.sizes import in_channels_of

from .onnx_runtime import write_onnx
from .operator import Operator

__all__ = ["list_operators", "prepare", "prepare_operator"]


@contextmanager
def prepare(network: nn.Module, target: Target) -> Iterator[Callable[[], None]]:
    """Makes a network ready; yields what runs it once."""
    import openvino  # pyright: ignore[reportMissingImports]  (an optional package)

    size = (in_channels_of(network), *target.input_size)
    with tempfile.TemporaryDirectory() as folder:
        path = write_onnx(network, Path(folder) / "network.onnx", size)
        config = {"INFERENCE_NUM_THREADS": target.threads}
        compiled = openvino.Core().compile_model(str(path), "CPU", config)
    request = compiled.create_infer_request()
    image = np.random.rand(1, *size).astype(np.float32)
    yield lambda: request.infer([image], share_inputs=True, share_outputs=True)


def list_operators(*_: object) -> Sequence[Operator]:
    """Refuses: OpenVINO does not tell its operators before it runs."""
    raise ValueError(
        "target.runtime: 'openvino' is measured, not predicted. Predict for 'onnxruntime'."
    )


prepare_operator = list_operators
