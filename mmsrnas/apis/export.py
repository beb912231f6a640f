"""Export of trained networks to the formats of other runtimes, each checked against torch."""

import copy
import json
import math
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import mmsrnas
from mmsrnas.checkpoint import CARD_KEY, read_checkpoint
from mmsrnas.datasets import imresize
from mmsrnas.datasets.image_io import IMAGE_SUFFIXES, read_image
from mmsrnas.datasets.resize import mod_crop
from mmsrnas.files import atomic_write
from mmsrnas.finite import require_finite
from mmsrnas.sizes import in_channels_of, min_size_of, upscale_factor_of

from .generator import folded
from .inference.model import generator_config, load_model, load_network
from .inference.runtimes import CARD, optional_package
from .inference.tiling import find_halo, peak_bytes_per_pixel
from .onnx import OnnxError, export_checked_onnx

__all__ = ["FORMATS", "MAX_LOSS", "ExportError", "ExportReport", "Photographs", "export"]

FORMATS = ("onnx", "onnx-fp16", "onnx-int8", "openvino", "ncnn", "pth", "safetensors")
SUFFIXES = {
    ".onnx": "onnx",
    ".xml": "openvino",
    ".param": "ncnn",
    ".pth": "pth",
    ".safetensors": "safetensors",
}
COMPANIONS = {"openvino": (".bin",), "ncnn": (".bin", ".json")}
"""Endings of the files that belong to the one that is named."""
MAX_LOSS = {"onnx": 0.001, "onnx-fp16": 0.02, "onnx-int8": 0.10, "openvino": 0.02, "ncnn": 0.02}
"""PSNR in dB that a file may lose against torch."""
REFERENCE_PSNR = 38.0
"""PSNR of a good network, for which a difference from torch counts where there is no photograph."""
ODD_SIZES = ((33, 57), (48, 41))
TIMED_SIZE = (96, 160)
HR_SIDE = 192
MAX_PHOTOGRAPHS = 16


class ExportError(RuntimeError):
    """Refusal of a file that loses more than it may."""


@dataclass(frozen=True)
class ExportReport:
    """What an exported file is worth.

    Attributes:
        path: The file.
        format: One of :data:`FORMATS`.
        bytes: Its size, with the file of weights beside it where it has one.
        psnr_loss: PSNR in dB that it loses against torch.
        measured_on: What the loss was measured on.
        largest_error: Largest difference from torch, for images in [0, 1].
        milliseconds: Time of torch, and of the file, for one image; None where it was not measured.
        notes: What was done to keep the loss low.
    """

    path: str
    format: str
    bytes: int
    psnr_loss: float
    measured_on: str
    largest_error: float
    milliseconds: tuple[float, float] | None = None
    notes: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-serialisable data."""
        return asdict(self)

    def __str__(self) -> str:
        text = (
            f"{self.path}: {self.format}, {self.bytes / 1e6:.2f} MB, loses {self.psnr_loss:.4f} dB "
            f"({self.measured_on}), differs by at most {self.largest_error:.1e}"
        )
        if self.milliseconds:
            torch_ms, own_ms = self.milliseconds
            height, width = TIMED_SIZE
            text += (
                f"; {own_ms:.1f} ms for {width}x{height} pixels, torch {torch_ms:.1f} ms "
                f"({torch_ms / own_ms:.2f} times faster)"
            )
        return text + (f"; {self.notes}" if self.notes else "")


class Photographs:
    """Photographs as pairs of what a network reads and what it should make.

    Args:
        folder: Folder of photographs, of which a patch in the middle is taken.
        scale: Ratio of HR to LR size; 1 adds noise instead.
        in_channels: 1 for gray, 3 for RGB.
        sigma: Standard deviation of the noise, for images in 0..255.

    Raises:
        FileNotFoundError: There is no photograph.
        ValueError: A photograph cannot be read.
    """

    def __init__(
        self, folder: str | Path, scale: int, in_channels: int, sigma: float = 25.0
    ) -> None:
        paths = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
        if not paths:
            raise FileNotFoundError(f"photos: no image in '{folder}'.")
        step = math.ceil(len(paths) / MAX_PHOTOGRAPHS)
        self.folder, self.pairs = Path(folder), []
        for index, path in enumerate(paths[::step]):
            image = read_image(path, "color" if in_channels == 3 else "grayscale")
            height, width = image.shape[:2]
            side = min(HR_SIDE, height, width) // 12 * 12
            if side < 48:
                continue
            top, left = (height - side) // 2, (width - side) // 2
            hr = mod_crop(image[top : top + side, left : left + side], scale)
            hr = hr if hr.ndim == 3 else hr[..., None]
            if scale > 1:
                lr: np.ndarray = imresize(hr, 1 / scale).astype(np.float32)
            else:
                noise = np.random.default_rng(index).standard_normal(hr.shape)
                lr = (hr + sigma * noise).astype(np.float32)
            pair = (torch.from_numpy(a.astype(np.float32)).permute(2, 0, 1)[None] for a in (lr, hr))
            lr_image, hr_image = pair
            self.pairs.append((lr_image / 255, hr_image))
        if not self.pairs:
            raise ValueError(f"photos: the images in '{folder}' are smaller than 48 pixels.")

    def psnr(self, run: Callable[[Tensor], Tensor], border: int) -> float:
        """Mean PSNR in dB over all channels, of the result rounded to 8 bits."""
        values = []
        for lr, hr in self.pairs:
            sr = (run(lr) * 255).clamp(0, 255).round()
            inner = (..., slice(border, -border or None), slice(border, -border or None))
            error = (sr - hr)[inner].square().mean().clamp(min=1e-6)
            values.append(10 * math.log10(255**2 / float(error)))
        return sum(values) / len(values)


def export(
    model: str | Path | nn.Module,
    path: str | Path,
    precision: str = "fp32",
    photos: str | Path | None = None,
    max_loss: float | None = None,
    config: str | Path | None = None,
    sigma: float = 25.0,
    timed: bool = False,
) -> ExportReport:
    """Writes a trained network in another format, if it does there what it does in torch.

    Args:
        model: Checkpoint, work dir or network, as :func:`~mmsrnas.apis.inference.load_model` takes.
        path: Target: ``.onnx``, OpenVINO's ``.xml``, ncnn's ``.param``, or weights with the
            genotype as ``.pth`` or ``.safetensors``.
        precision: Of an ``.onnx`` file: ``'fp32'``, ``'fp16'`` or ``'int8'``.
        photos: Folder of photographs; they calibrate int8, and the loss is measured on them.
        max_loss: PSNR in dB that the file may lose; that of :data:`MAX_LOSS` if None.
        config: Config of the network, for a checkpoint that does not say what it is.
        sigma: Noise that is added to the photographs for a denoiser, for images in 0..255.
        timed: Measure the time of torch and of the file.

    Returns:
        What the file is worth.

    Raises:
        ExportError: The file loses more than it may; it is not kept, and an older one stays.
        ValueError: An argument has no meaning, or int8 has no photographs.
        ModuleNotFoundError: The package of the format is not installed.
        FloatingPointError: A weight is NaN or infinite.
    """
    path = Path(path)
    kind = _format_of(path, precision)
    if kind == "onnx-int8" and photos is None:
        raise ValueError("photos: int8 is calibrated on photographs; name a folder of them.")
    given = isinstance(model, nn.Module)
    network = folded(copy.deepcopy(model).cpu()) if given else load_network(model, config)
    require_finite(network, type(network).__name__)
    scale, channels = upscale_factor_of(network), in_channels_of(network)
    pictures = Photographs(photos, scale, channels, sigma) if photos is not None else None
    card = _card_of(network, model, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    allowed = MAX_LOSS.get(kind, 0.0) if max_loss is None else max_loss
    notes = ""
    with atomic_write(path) as part, _beside(path, part, COMPANIONS.get(kind, ())):
        if kind in ("pth", "safetensors"):
            _write_weights(network, card, part)
        elif kind == "openvino":
            _write_openvino(network, card, part)
        elif kind == "ncnn":
            _write_ncnn(network, card, part)
        else:
            notes = _write_onnx(network, card, part, kind, pictures, allowed)
        report = _judge(network, part, path, kind, pictures, timed, notes)
        if not report.psnr_loss <= allowed:
            raise ExportError(
                f"{path} is not written: {kind} loses {report.psnr_loss:.3f} dB "
                f"({report.measured_on}), allowed are {allowed:.3f}. Allow more by --max-loss, or "
                "take another precision."
            )
    return report


def _format_of(path: Path, precision: str) -> str:
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"OUT: '{path.name}' must end in {', '.join(SUFFIXES)}.")
    if precision not in ("fp32", "fp16", "int8"):
        raise ValueError(f"precision: expected fp32, fp16 or int8, got {precision!r}.")
    if kind != "onnx" and precision != "fp32":
        raise ValueError(f"precision: {precision} is made for .onnx files, not for '{path.name}'.")
    return kind if precision == "fp32" else f"{kind}-{precision}"


@contextmanager
def _beside(path: Path, part: Path, endings: Sequence[str]) -> Iterator[None]:
    """Gives the files that are written beside the partial one the name of the target."""
    try:
        yield
        for ending in endings:
            part.with_suffix(ending).replace(path.with_suffix(ending))
    finally:
        for ending in endings:
            part.with_suffix(ending).unlink(missing_ok=True)


def _card_of(network: nn.Module, model: str | Path | nn.Module, kind: str) -> dict[str, Any]:
    """The model card: what a program needs to run the file, and where it comes from."""
    card: dict[str, Any] = {
        "mmsrnas": mmsrnas.__version__,
        "network": type(network).__name__,
        "scale": upscale_factor_of(network),
        "in_channels": in_channels_of(network),
        "min_size": min_size_of(network),
        "color_order": "RGB" if in_channels_of(network) == 3 else "gray",
        "range": [0, 1],
        "format": kind,
        "task": "denoise" if upscale_factor_of(network) == 1 else "sr",
    }
    genotype = getattr(network, "genotype", None)
    if genotype is not None:
        card["genotype"] = genotype.to_dict()
    if not isinstance(model, nn.Module):
        checkpoint = read_checkpoint(model, "MODEL")
        generator = generator_config(checkpoint)
        if generator and "reparameterized" in generator:
            generator["reparameterized"] = False  # branches are summed when it is loaded
        card["generator"] = generator
        stored = checkpoint.meta.get("card")
        card["training"] = {
            "checkpoint": Path(checkpoint.source).name,
            "iterations": checkpoint.meta.get("iter"),
            "seed": checkpoint.meta.get("seed"),
            "config": checkpoint.meta.get("experiment_name"),
            "data": _data_of(checkpoint) if checkpoint.meta.get("cfg") else None,
        }
        if isinstance(stored, dict):
            card["training"] = stored.get("training", card["training"])
    elif genotype is not None and genotype.network:
        card["generator"] = {
            "type": f"mmsrnas.{genotype.network}",
            "genotype": genotype.to_dict(),
            **({"img_range": network.img_range} if hasattr(network, "img_range") else {}),
        }
    if kind not in ("pth", "safetensors"):
        halo = find_halo(_runner(network), card["in_channels"], card["scale"], card["min_size"])
        card |= {
            "halo": halo.size,
            "tile_difference": halo.difference,
            "bytes_per_pixel": peak_bytes_per_pixel(network, card["in_channels"]),
        }
    return json.loads(json.dumps(card))


def _data_of(checkpoint: Any) -> list[str]:
    """Folders of the training images, as the config of the training names them."""
    found: list[str] = []

    def visit(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("data_root"), str):
                found.append(value["data_root"])
            for item in value.values():
                visit(item)
        elif isinstance(value, list):
            for item in value:
                visit(item)

    visit(checkpoint.config().get("train_dataloader") or {})
    return sorted(set(found))


def _runner(network: nn.Module) -> Callable[[Tensor], Tensor]:
    def run(image: Tensor) -> Tensor:
        with torch.inference_mode():
            return network(image)

    return run


def _write_weights(network: nn.Module, card: dict[str, Any], path: Path) -> None:
    """Weights alone, with the card among them: what spandrel and others hand on is the weights."""
    if "generator" not in card or card["generator"] is None:
        raise ValueError(
            "MODEL: the network says neither its config nor its genotype, so a file of its weights "
            "would be of no use alone. Export a checkpoint instead."
        )
    text = torch.frombuffer(bytearray(json.dumps(card).encode()), dtype=torch.uint8)
    state = {k: v.detach().cpu().contiguous().clone() for k, v in network.state_dict().items()}
    state[CARD_KEY] = text
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(state, path, {CARD: json.dumps(card)})
        return
    meta = {k: card[k] for k in ("genotype", "generator") if k in card} | {"card": card}
    torch.save({"state_dict": state, "meta": meta}, path)


def _write_openvino(network: nn.Module, card: dict[str, Any], path: Path) -> None:
    openvino = optional_package("openvino", "OUT: an .xml file of OpenVINO")
    with tempfile.TemporaryDirectory() as folder:
        onnx_file = Path(folder) / "network.onnx"
        export_checked_onnx(network, onnx_file)
        model = openvino.convert_model(str(onnx_file))
        model.set_rt_info(json.dumps(card), [CARD])
        openvino.save_model(model, str(path), compress_to_fp16=False)


def _write_ncnn(network: nn.Module, card: dict[str, Any], path: Path) -> None:
    """Files of ncnn, by its converter pnnx: layers, weights, and the card beside them."""
    try:
        import ncnn  # noqa: F401  # pyright: ignore[reportMissingImports]  (an optional package)
        import pnnx  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "OUT: a .param file of ncnn needs the packages 'ncnn' and 'pnnx': pip install ncnn pnnx"
        ) from None
    size = max(48, card["min_size"])
    shapes = [(1, card["in_channels"], size + 12 * i, size + 24 * i) for i in (0, 1)]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The network's own check of the size is no part of the file.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        with torch.no_grad():
            traced: Any = torch.jit.trace(network, torch.rand(shapes[0]), check_trace=False)
        traced.save(f"{folder}/network.pt")
        sides = [",".join(map(str, shape)) for shape in shapes]
        options = [f"inputshape=[{sides[0]}]", f"inputshape2=[{sides[1]}]", "fp16=0"]
        command = [pnnx.EXEC_PATH, "network.pt", *options]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        files = [Path(folder) / f"network.ncnn{ending}" for ending in (".param", ".bin")]
        if done.returncode or not all(file.is_file() for file in files):
            last = (done.stdout + done.stderr).strip().splitlines()[-1:]
            raise ExportError(f"the file is not written: pnnx cannot convert the network: {last}")
        for file in files:
            shutil.copyfile(file, path.with_suffix(file.suffix))
    path.with_suffix(".json").write_text(json.dumps(card))


def _write_onnx(
    network: nn.Module,
    card: dict[str, Any],
    path: Path,
    kind: str,
    pictures: Photographs | None,
    allowed: float,
) -> str:
    """Writes an ONNX file; returns what was done to keep its loss low."""
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / "fp32.onnx"
        try:
            export_checked_onnx(network, exact)
        except OnnxError as error:
            raise ExportError(f"the file is not written: {error}") from None
        notes = ""
        if kind == "onnx-fp16":
            model = _to_fp16(onnx.load(exact))
        elif kind == "onnx-int8":
            assert pictures is not None
            model, notes = _to_int8(exact, pictures, card["scale"], allowed)
        else:
            model = onnx.load(exact)
    entry = model.metadata_props.add()
    entry.key, entry.value = CARD, json.dumps(card)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return notes


def _to_fp16(model: Any) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    wrapped = OnnxModel(convert_float_to_float16(model, keep_io_types=True))
    wrapped.topological_sort()  # the conversion appends the casts at the end
    return wrapped.model


def _to_int8(path: Path, pictures: Photographs, scale: int, allowed: float) -> tuple[Any, str]:
    """Quantises convolutions, and fewer of them where that loses too much.

    The first and the last convolution stay as they are: they carry the image. Where the others
    together lose more than is allowed, only those that take the most work are quantised. Weights
    have seven bits: processors without instructions for int8 add products in 16 bits, which eight
    bits overflow (2.1 dB of a DRN, 0.04 with seven).
    """
    import onnx

    convs = [node for node in onnx.load(path).graph.node if node.op_type == "Conv"]
    names = [node.name for node in convs]
    dense = [n.name for n in convs if _attribute(n, "group", 1) == 1 and _kernel(n) > 1]
    inner = names[1:-1]
    exact = pictures.psnr(load_model(path).run, scale)
    losses = []
    for what, chosen in (
        ("all convolutions but the first and the last", inner),
        ("dense convolutions but the first and the last", [n for n in dense if n in inner]),
        ("every second dense convolution", [n for n in dense if n in inner][::2]),
    ):
        if not chosen:
            continue
        model, loss = _quantized(path, pictures, chosen, scale, exact)
        losses.append(f"{what}: {loss:.3f} dB")
        if loss <= allowed:
            return model, f"int8: {what} ({len(chosen)} of {len(names)})"
    raise ExportError(f"no int8 file loses at most {allowed:.3f} dB: {'; '.join(losses)}.")


def _attribute(node: Any, name: str, default: Any) -> Any:
    import onnx

    found = next((a for a in node.attribute if a.name == name), None)
    return default if found is None else onnx.helper.get_attribute_value(found)


def _kernel(node: Any) -> int:
    return max(_attribute(node, "kernel_shape", [1]))


def _quantized(
    path: Path, pictures: Photographs, chosen: Sequence[str], scale: int, exact: float
) -> tuple[Any, float]:
    """A file with some convolutions in int8, and the PSNR in dB that it loses."""
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.feeds = iter([{"input": lr.numpy()} for lr, _ in pictures.pairs])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.feeds, None)

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "int8.onnx"
        quantize_static(
            str(path),
            str(target),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            nodes_to_quantize=list(chosen),
            op_types_to_quantize=["Conv"],
            calibrate_method=CalibrationMethod.MinMax,
        )
        loss = exact - pictures.psnr(load_model(target).run, scale)
        return onnx.load(target), loss


def _judge(
    network: nn.Module,
    part: Path,
    path: Path,
    kind: str,
    pictures: Photographs | None,
    timed: bool,
    notes: str,
) -> ExportReport:
    """Compares a file with torch: on odd sizes, and on photographs where there are some."""
    run = _runner(network)
    own = _runner(load_network(part)) if kind in ("pth", "safetensors") else load_model(part).run
    least, channels = min_size_of(network), in_channels_of(network)
    worst, squares, count = 0.0, 0.0, 0
    for height, width in ODD_SIZES:
        generator = torch.Generator().manual_seed(0)
        coarse = torch.rand(1, channels, 12, 12, generator=generator)
        size = (max(least, height), max(least, width))
        image = nn.functional.interpolate(coarse, size, mode="bicubic").clamp(0, 1)
        difference = own(image) - run(image)
        worst = max(worst, float(difference.abs().max()))
        squares += float(difference.square().sum())
        count += difference.numel()
    if pictures is not None:
        scale = upscale_factor_of(network)
        loss = pictures.psnr(run, scale) - pictures.psnr(own, scale)
        measured_on = f"{len(pictures.pairs)} photographs of {pictures.folder}"
    else:
        error = 10 ** (-REFERENCE_PSNR / 10)
        loss = 10 * math.log10(1 + squares / count / error)
        measured_on = f"worth to a network of {REFERENCE_PSNR:.0f} dB, on odd sizes"
    if math.isnan(worst):
        loss = math.inf
    files = [part, *(part.with_suffix(ending) for ending in COMPANIONS.get(kind, ()))]
    size = sum(file.stat().st_size for file in files)
    times = None
    if timed:
        image = torch.rand(1, channels, *TIMED_SIZE)
        times = (_milliseconds(run, image), _milliseconds(own, image))
    return ExportReport(str(path), kind, size, loss, measured_on, worst, times, notes)


def _milliseconds(run: Callable[[Tensor], Tensor], image: Tensor, repeats: int = 3) -> float:
    """Fastest time of a pass; on one thread CPU time, which stops while others have the core."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    run(image)
    times = []
    for _ in range(repeats):
        start = clock()
        run(image)
        times.append(clock() - start)
    return min(times) * 1e3
