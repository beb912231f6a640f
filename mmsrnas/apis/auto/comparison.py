"""Quality and cost of networks beside what needs no network."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import nn

from mmsrnas.analysis.plots import plot_crops
from mmsrnas.apis.inference import Restorer, load_network
from mmsrnas.checkpoint import read_checkpoint
from mmsrnas.costs import count_params
from mmsrnas.datasets import imresize, read_image
from mmsrnas.datasets.noise import noise_generator
from mmsrnas.evaluation import PSNR, SSIM
from mmsrnas.files import atomic_write
from mmsrnas.latency import NoisyMeasurementError, measure

from .budget import MAX_SPREAD, Budget
from .planning import Plan

__all__ = ["Row", "compared"]

Row = dict[str, Any]
Make = Callable[[np.ndarray], np.ndarray]


def compared(plan: Plan, budget: Budget, networks: Mapping[str, Path]) -> list[Row]:
    """Tests networks on the photographs that nothing has seen.

    Writes ``table.json`` and ``side_by_side.png``.

    Args:
        plan: The plan.
        budget: Its budget.
        networks: Checkpoint by name.

    Returns:
        A row for each classical method and each network.
    """
    pairs = _pairs(plan)
    makers = _classical(plan)
    loaded = {name: load_network(path, _config_of(path)) for name, path in networks.items()}
    makers |= {name: Restorer(net, device="cpu", precision="fp32") for name, net in loaded.items()}
    rows: list[Row] = []
    for name, make in makers.items():
        row: Row = {"model": name} | _quality(plan, make, pairs)
        if name in loaded:
            row["params"] = count_params(loaded[name])
            row["cost"] = budget.cost(loaded[name])
            if budget.is_latency:
                row |= _measured(loaded[name], budget)
        rows.append(row)
    with atomic_write(plan.folder / "table.json") as path:
        path.write_text(json.dumps(rows, indent=2))
    images = [
        {"HR": hr} | {name: make(lr) for name, make in makers.items() if name != "Lanczos"}
        for lr, hr in pairs[:: max(1, len(pairs) // 3)][:3]
    ]
    plot_crops(images, plan.folder / "side_by_side.png")
    return rows


def _classical(plan: Plan) -> dict[str, Make]:
    """What a network has to beat, without any training."""
    scale, sigma = plan.scale, plan.made_of["sigma"]
    if scale == 1:
        return {
            "noisy": lambda image: image,
            "non-local means": lambda image: cv2.fastNlMeansDenoisingColored(
                image, None, sigma, sigma
            ),
        }
    return {
        "bicubic": lambda image: imresize(image, scale),
        "Lanczos": lambda image: _lanczos(image, scale),
    }


def _pairs(plan: Plan) -> list[tuple[np.ndarray, np.ndarray]]:
    """Degraded and clean images of the test, as 8-bit files hold them."""
    root = plan.folder / "data/test"
    pairs = []
    for path in sorted((root / "HR").glob("*.png")):
        clean = read_image(path)
        if plan.scale > 1:
            name = f"LR_bicubic/X{plan.scale}/{path.stem}x{plan.scale}.png"
            pairs.append((read_image(root / name), clean))
            continue
        noise = noise_generator(0, str(path)).standard_normal(clean.shape)
        noisy = clean + plan.made_of["sigma"] * noise
        pairs.append((noisy.round().clip(0, 255).astype(np.uint8), clean))
    return pairs


def _lanczos(image: np.ndarray, scale: int) -> np.ndarray:
    height, width = image.shape[:2]
    size = (width * scale, height * scale)
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def _config_of(checkpoint: Path) -> Any:
    """The run's own config, which names the network with its options."""
    return read_checkpoint(checkpoint).config()


def _quality(plan: Plan, make: Make, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Row:
    protocol: dict[str, Any] = (
        dict(crop_border=plan.scale, convert_to="Y") if plan.scale > 1 else {}
    )
    images = [(torch.from_numpy(hr), torch.from_numpy(make(lr))) for lr, hr in pairs]
    row: Row = {}
    for name, metric_type in (("psnr", PSNR), ("ssim", SSIM)):
        metric: Any = metric_type(**protocol)
        metric.channel_order = "RGB"
        values = [
            metric.process_image(hr.permute(2, 0, 1), sr.permute(2, 0, 1), None)
            for hr, sr in images
        ]
        row[name] = float(np.mean(values))
    return row


def _measured(network: nn.Module, budget: Budget) -> Row:
    """Measured time; nothing where the machine is too busy to tell."""
    try:
        measured = measure(network, budget.cost.target, max_spread=MAX_SPREAD)
    except NoisyMeasurementError as error:
        return {"note": str(error)}
    return {"measured_ms": measured.milliseconds, "spread": measured.spread}
