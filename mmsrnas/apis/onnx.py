"""Export of networks to ONNX."""

import warnings
from pathlib import Path

import numpy as np
import torch
import torch.onnx.utils
from torch import nn

__all__ = ["export_onnx", "onnx_difference"]

AXES = {0: "batch", 2: "height", 3: "width"}


def export_onnx(
    network: nn.Module, path: str | Path, in_channels: int = 3, opset_version: int = 17
) -> None:
    """Writes a network as an ONNX file that takes images of any size and number.

    The file has one ``input`` ``(N, C, H, W)`` and one ``output``, both float32 in [0, 1].

    Args:
        network: The network; its weights are stored in the file.
        path: Target file.
        in_channels: Channels of the input.
        opset_version: ONNX operator set.
    """
    image = torch.rand(1, in_channels, 48, 40)
    with warnings.catch_warnings():
        # The guard on the image size is no part of the file.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        # torch.onnx.export prefers an exporter that needs another package in recent releases.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.utils.export(
            network.eval(),
            (image,),
            str(path),
            opset_version=opset_version,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": AXES, "output": AXES},
        )


@torch.no_grad()
def onnx_difference(
    network: nn.Module, path: str | Path, shapes: list[tuple[int, int, int, int]]
) -> float:
    """Runs an exported file in onnxruntime against the network on random images.

    Args:
        network: The network that was exported.
        path: The ONNX file.
        shapes: Shapes ``(N, C, H, W)`` of the images, in [0, 1].

    Returns:
        The largest absolute difference of any output value.
    """
    import onnxruntime  # needed by this check alone

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    differences = []
    for shape in shapes:
        image = torch.rand(shape)
        (found,) = session.run(None, {"input": image.numpy()})
        differences.append(np.abs(found - network(image).numpy()).max())
    return float(max(differences))
