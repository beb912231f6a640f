"""Export of networks to ONNX."""

import copy
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.onnx.utils
from torch import Tensor, nn

from mmsrnas.files import atomic_write
from mmsrnas.finite import require_finite
from mmsrnas.sizes import in_channels_of, min_size_of

__all__ = ["OnnxError", "OnnxReport", "check_onnx", "export_checked_onnx", "export_onnx"]

AXES = {0: "batch", 2: "height", 3: "width"}


class OnnxError(RuntimeError):
    """Refusal of an ONNX file that does not do what its network does."""


@dataclass(frozen=True)
class OnnxReport:
    """Errors of an ONNX file and of its network, both against the network in float64.

    Attributes:
        file_error: Largest absolute error of the file, for images in [0, 1].
        network_error: That of the network in float32.
        shapes: Shapes ``(N, C, H, W)`` of the images.
    """

    file_error: float
    network_error: float
    shapes: list[tuple[int, int, int, int]]

    def __str__(self) -> str:
        sizes = ", ".join("x".join(map(str, shape)) for shape in self.shapes)
        return (
            f"largest error against the network in float64 {self.file_error:.1e}, that of the "
            f"network in float32 {self.network_error:.1e}, on images of {sizes}"
        )


class _SizeGuard(nn.Module):
    """Refuses images below a size inside the file, where Python's check is not.

    ONNX has no assertion. The images are taken out of a list of one by an index that is 0 for
    images of at least the size, and out of bounds below; the runtime's error names this module.

    Args:
        size: Smallest height and width.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Returns images ``(N, C, H, W)`` as they are."""
        smallest = torch._shape_as_tensor(x)[2:].min()
        index = (self.size - smallest).clamp(min=0).reshape(1).to(x.device)
        return x[None].index_select(0, index)[0]


def export_onnx(network: nn.Module, path: str | Path, opset_version: int = 17) -> None:
    """Writes a network as an ONNX file that takes images of any size and number.

    The file has one ``input`` ``(N, C, H, W)`` and one ``output``, both float32 in [0, 1]. It
    refuses images below the ``min_size`` of the network, as the network does.

    Args:
        network: The network; its weights are stored in the file.
        path: Target file.
        opset_version: ONNX operator set.

    Raises:
        FloatingPointError: A weight is NaN or infinite.
    """
    require_finite(network, type(network).__name__)
    network = copy.deepcopy(network).cpu()
    size = min_size_of(network)
    image = torch.rand(1, in_channels_of(network), max(48, size), max(40, size))
    guarded = network
    if size > 1:
        guard = {f"images_must_have_at_least_{size}x{size}_pixels": _SizeGuard(size)}
        guarded = nn.Sequential()
        for name, module in {**guard, "network": network}.items():
            guarded.add_module(name, module)
    # Dilated depthwise convolutions have a slower form for gradients, which is not for the file.
    with torch.no_grad(), warnings.catch_warnings():
        # The network's own check of the size is no part of the file.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        # torch.onnx.export prefers an exporter that needs another package in recent releases.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)  # what it does not fold stays as it is
        torch.onnx.utils.export(
            guarded.eval(),
            (image,),
            str(path),
            opset_version=opset_version,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": AXES, "output": AXES},
        )


@torch.no_grad()
def check_onnx(network: nn.Module, path: str | Path, tolerance: float = 1e-5) -> OnnxReport:
    """Runs an exported file in onnxruntime against its network, on random images.

    Float32 itself limits the agreement of two programs, the more the larger the image: positions of
    an interpolation by a factor of 3 are not exact, and torch and onnxruntime round them
    differently (1.6e-5 at 96 x 128 pixels, of which torch contributes 1.1e-5). So the file is
    compared with the network in float64, and may err by ``tolerance`` more than the network in
    float32 does.

    Args:
        network: The network that was exported.
        path: The ONNX file.
        tolerance: Accepted error beyond that of the network, for images in [0, 1].

    Returns:
        The errors.

    Raises:
        OnnxError: The file errs by more, has NaN, or accepts images that are too small.
    """
    import onnxruntime  # needed by this check alone

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # the refusal of small images below is no fault
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])

    def run(image: Tensor) -> Tensor:
        (output,) = session.run(None, {"input": image.numpy()})
        return torch.from_numpy(output)

    network = copy.deepcopy(network).cpu().eval()
    reference = copy.deepcopy(network).double()
    channels, size = in_channels_of(network), min_size_of(network)
    shapes = [(1, channels, max(h, size), max(w, size)) for h, w in ((48, 40), (96, 128))]
    shapes += [(2, channels, max(33, size), max(57, size)), (1, channels, size, size)]
    errors: list[tuple[float, float]] = []
    for shape in shapes:
        image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        exact = reference(image.double())
        errors.append(tuple((y - exact).abs().max().item() for y in (run(image), network(image))))
    file_error, network_error = (max(column) for column in zip(*errors, strict=True))
    report = OnnxReport(file_error, network_error, shapes)
    if not all(file <= own + tolerance for file, own in errors):
        raise OnnxError(f"{report}: the file errs by more than {tolerance:.1e} beyond the network.")
    if size > 1:
        try:
            run(torch.rand(1, channels, size - 1, size))
        except Exception:  # onnxruntime has an exception of its own for every status
            return report
        raise OnnxError(
            f"the file accepts images of {size - 1} x {size} pixels, which the network refuses."
        )
    return report


def export_checked_onnx(
    network: nn.Module, path: str | Path, tolerance: float = 1e-5, opset_version: int = 17
) -> OnnxReport:
    """Writes an ONNX file that does what its network does, or none.

    Args:
        network: The network.
        path: Target file, in a folder that is made where it does not exist.
        tolerance: As for :func:`check_onnx`.
        opset_version: ONNX operator set.

    Returns:
        The errors of the file.

    Raises:
        OnnxError: The file is wrong; it is not kept, and an older one stays.
        FloatingPointError: A weight is NaN or infinite.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        export_onnx(network, partial, opset_version)
        return check_onnx(network, partial, tolerance)
