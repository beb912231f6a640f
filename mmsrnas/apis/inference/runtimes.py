"""What runs a network: torch, or another runtime from a file."""

import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import platformdirs
import torch
from torch import Tensor, nn

import mmsrnas
from mmsrnas.apis.onnx import export_onnx
from mmsrnas.files import atomic_write
from mmsrnas.pruning.fingerprint import fingerprint

__all__ = [
    "CARD",
    "LOADERS",
    "RUNTIMES",
    "LoadedModel",
    "RuntimeNet",
    "faster",
    "in_runtime",
    "optional_package",
]

CARD = "mmsrnas"
"""Key of the model card among the metadata of an ONNX file."""
RUNTIMES = ("auto", "torch", "onnxruntime", "openvino")
FASTEST = ("openvino", "onnxruntime")
"""Runtimes that are faster than torch on a CPU without half precision, the fastest first."""
TOLERANCE = 1e-4
"""Difference from torch that is rounding, for images in [0, 1]: the fortieth part of a level."""
LARGE = 256 * 256
"""Pixels from which OpenVINO compiles a network for one size: it takes half the memory then."""
KEPT_FILES = 20

Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class LoadedModel:
    """A network that is ready to run.

    Attributes:
        run: Maps images ``(N, C, H, W)`` in [0, 1] to restored ones, not clamped; on the device of
            ``network``, or on the CPU without one.
        upscale_factor: Ratio of output to input size.
        in_channels: Channels of the images.
        min_size: Smallest height and width.
        network: The torch module; None for an ONNX file.
        card: What an exported file says about itself.
        runtime: What runs it: a name of :data:`RUNTIMES`, or ``'ncnn'``.
        note: Why it is not the fastest runtime, where it is not.
        release: Gives back the memory that a runtime keeps between images; None where that cannot
            be said.
    """

    run: Run
    upscale_factor: int
    in_channels: int
    min_size: int
    network: nn.Module | None
    card: Mapping[str, Any]
    runtime: str = "torch"
    note: str = ""
    release: Callable[[], object] | None = None

    def __str__(self) -> str:
        return f"{self.runtime} ({self.note})" if self.note else self.runtime


def optional_package(name: str, what: str) -> Any:
    """A package that only some formats need.

    Args:
        name: Its name.
        what: What needs it, for the message.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        message = f"{what} needs the package '{name}': pip install {name}"
        raise ModuleNotFoundError(message) from None


def _load_onnx(path: Path, card: Mapping[str, Any] | None = None) -> LoadedModel:
    onnxruntime = optional_package("onnxruntime", "MODEL: an .onnx file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has an exception of its own for every status
        raise ValueError(f"MODEL: '{path}' is no ONNX file that runs: {error}") from None
    (entry, *others), outputs = session.get_inputs(), session.get_outputs()
    if others or len(outputs) != 1 or len(entry.shape) != 4:
        raise ValueError(
            f"MODEL: '{path}' must map one image (N, C, H, W) to one image; it has inputs "
            f"{[i.shape for i in session.get_inputs()]} and {len(outputs)} outputs."
        )
    kind = np.float16 if entry.type == "tensor(float16)" else np.float32

    def run(x: Tensor) -> Tensor:
        (y,) = cast(Any, session.run(None, {entry.name: x.numpy().astype(kind, copy=False)}))
        return torch.from_numpy(y.astype(np.float32, copy=False))

    text = session.get_modelmeta().custom_metadata_map.get(CARD)
    card = card or cast(dict[str, Any], json.loads(text) if text else {})
    channels = entry.shape[1] if isinstance(entry.shape[1], int) else 3
    probe = torch.zeros(1, channels, 48, 48)
    scale = card.get("scale") or run(probe).shape[-1] // 48
    least = card.get("min_size", 1)
    shrink = onnxruntime.RunOptions()
    shrink.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    nothing = np.zeros((1, channels, least, least), kind)

    def release() -> None:
        session.run(None, {entry.name: nothing}, shrink)

    sizes = (scale, channels, least)
    return LoadedModel(run, *sizes, None, card, "onnxruntime", release=release)


def _load_openvino(path: Path, card: Mapping[str, Any] | None = None) -> LoadedModel:
    openvino = optional_package("openvino", "MODEL: an .xml file of OpenVINO")
    core = openvino.Core()
    model = core.read_model(str(path))
    if card is None and model.has_rt_info([CARD]):
        card = json.loads(model.get_rt_info([CARD]).astype(str))
    card = card or {}
    config = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    any_size = core.compile_model(model, "CPU", config).create_infer_request()
    one_size: dict[torch.Size, Any] = {}

    def request(size: torch.Size) -> Any:
        if size[2:].numel() < LARGE:
            return any_size
        if size not in one_size:
            one_size.clear()
            model.reshape(list(size))
            one_size[size] = core.compile_model(model, "CPU", config).create_infer_request()
        return one_size[size]

    def run(x: Tensor) -> Tensor:
        result = request(x.shape).infer([np.ascontiguousarray(x.numpy())])
        return torch.from_numpy(np.array(next(iter(result.values())), np.float32))

    shape = model.inputs[0].get_partial_shape()
    channels = shape[1].get_length() if shape[1].is_static else 3
    scale = card.get("scale") or run(torch.zeros(1, channels, 48, 48)).shape[-1] // 48
    sizes = (scale, channels, card.get("min_size", 1))
    return LoadedModel(run, *sizes, None, card, "openvino", release=one_size.clear)


def _load_ncnn(path: Path) -> LoadedModel:
    ncnn = optional_package("ncnn", "MODEL: a .param file")
    beside = [path.with_suffix(ending) for ending in (".bin", ".json")]
    if missing := [file.name for file in beside if not file.is_file()]:
        raise FileNotFoundError(f"MODEL: {' and '.join(missing)} must lie beside '{path}'.")
    card = json.loads(beside[1].read_text())
    net = ncnn.Net()
    net.opt.num_threads = torch.get_num_threads()
    for half in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{half}", False)
    if net.load_param(str(path)) or net.load_model(str(beside[0])):
        raise ValueError(f"MODEL: '{path}' is no file that ncnn runs.")

    def restore(image: Tensor) -> Tensor:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(image.numpy()).clone())  # ncnn does not keep the array
        status, output = extractor.extract("out0")
        if status:
            raise RuntimeError(f"ncnn could not run '{path}' (status {status})")
        return torch.from_numpy(np.array(output))

    def run(x: Tensor) -> Tensor:
        return torch.stack([restore(image.contiguous()) for image in x])

    sizes = (card["scale"], card["in_channels"], card["min_size"])
    return LoadedModel(run, *sizes, None, card, "ncnn")


LOADERS = {".onnx": _load_onnx, ".xml": _load_openvino, ".param": _load_ncnn}


def faster(model: LoadedModel) -> LoadedModel:
    """A network in the fastest runtime that is installed and gives what torch gives.

    Args:
        model: A network in torch, in evaluation mode on the CPU.

    Returns:
        The network in that runtime, or as it was, with a note that says why.
    """
    notes = []
    for runtime in FASTEST:
        if importlib.util.find_spec(runtime) is None:
            notes.append(f"{runtime} is not installed")
            continue
        try:
            return in_runtime(model, runtime)
        except Exception as error:  # exporters and runtimes have exceptions of every kind
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            notes.append(first if runtime in first else f"{runtime}: {first}")
    return replace(model, note="; ".join(notes))


def in_runtime(model: LoadedModel, runtime: str) -> LoadedModel:
    """A network in another runtime, checked against torch on images of odd sizes.

    Its ONNX file is made once, and kept in the user's cache by the content of the network.

    Args:
        model: A network in torch, in evaluation mode on the CPU.
        runtime: ``'onnxruntime'`` or ``'openvino'``.

    Raises:
        ValueError: The runtime gives another result than torch.
        ModuleNotFoundError: The runtime is not installed.
        OSError: The cache cannot be written.
    """
    assert model.network is not None
    path = _cache() / f"{_digest(model.network)}.onnx"
    loader = {"onnxruntime": _load_onnx, "openvino": _load_openvino}[runtime]
    card = {"scale": model.upscale_factor, "min_size": model.min_size}
    if path.is_file():
        path.touch()
        found = loader(path, card)
        if _difference(model, found) <= TOLERANCE:
            return replace(model, run=found.run, runtime=runtime, release=found.release)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        export_onnx(model.network, part)
        found = loader(part, card)
        if not (error := _difference(model, found)) <= TOLERANCE:
            raise ValueError(f"{runtime} differs from torch by {error:.1e}")
    for old in sorted(path.parent.glob("*.onnx"), key=_last_use)[:-KEPT_FILES]:
        old.unlink(missing_ok=True)
    return replace(model, run=found.run, runtime=runtime, release=found.release)


class RuntimeNet(nn.Module):
    """A network in another runtime, as the generator of an editor.

    Args:
        model: What runs, on the CPU.
    """

    def __init__(self, model: LoadedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Restores images ``(N, C, H, W)`` in [0, 1]."""
        return self.model.run(x.cpu()).to(x.device)


def _cache() -> Path:
    return Path(platformdirs.user_cache_dir("mmsrnas")) / "networks"


def _last_use(path: Path) -> float:
    return path.stat().st_mtime


def _digest(network: nn.Module) -> str:
    """Name of what a network computes; its file is checked whenever it is loaded."""
    genotype = getattr(network, "genotype", None)
    text = f"{mmsrnas.__version__} {torch.__version__} {type(network)} {network} {genotype}"
    return fingerprint([text, network])[:32]


@torch.inference_mode()
def _difference(model: LoadedModel, other: LoadedModel) -> float:
    """Largest difference of two runtimes on a noisy image."""
    sides = (max(model.min_size, side) for side in (37, 50))
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, model.in_channels, *sides, generator=generator)
    return float((model.run(image) - other.run(image)).abs().max())
