"""What is compared: anything that makes an image of an image, by a name."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from mmsrnas.apis.config import read_config
from mmsrnas.apis.generator import init_generator
from mmsrnas.apis.inference import load_model
from mmsrnas.apis.inference.runtimes import RuntimeNet
from mmsrnas.checkpoint import find_checkpoint, read_checkpoint
from mmsrnas.datasets import imresize
from mmsrnas.sizes import in_channels_of, upscale_factor_of

__all__ = [
    "UNIT_RANGE",
    "Classical",
    "Contender",
    "classical",
    "classical_words",
    "load_contenders",
    "network_contender",
]

UNIT_RANGE = dict(type="DataPreprocessor", mean=[0.0], std=[255.0])
"""One value serves gray and colour."""


@dataclass(frozen=True)
class Contender:
    """Anything that restores images.

    Attributes:
        name: Its name in the table.
        run: Maps images ``(N, C, H, W)``, as its preprocessor hands them over, to restored ones.
        upscale_factor: Ratio of output to input size.
        in_channels: Channels of the images; None for what takes any.
        costs_of: The network, or the ONNX file, that is counted and timed; None for what has no
            costs.
        preprocessor: Config of the data preprocessor.
        fingerprint: Of its weights and options.
    """

    name: str
    run: nn.Module
    upscale_factor: int
    in_channels: int | None = None
    costs_of: nn.Module | Path | None = None
    preprocessor: Mapping[str, Any] = field(default_factory=lambda: UNIT_RANGE)
    fingerprint: str = ""


class Classical(nn.Module):
    """What works on 8-bit images, as a network without parameters.

    Args:
        function: Maps uint8 ``(H, W, C)`` to uint8.
    """

    def __init__(self, function: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Restores images ``(N, C, H, W)`` in [0, 1], rounded to 8 bits before and after."""
        images = (x * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
        restored = np.stack([self.function(image) for image in images])
        return torch.from_numpy(restored).permute(0, 3, 1, 2).to(x) / 255


def classical(word: str, scale: int, sigma: float = 25.0) -> Contender:
    """What needs no network.

    Args:
        word: ``'bicubic'`` or ``'lanczos'`` for scales above 1; ``'noisy'``, the images as they
            are, or ``'nlm'``, non-local means, for noise.
        scale: Ratio of HR to LR size.
        sigma: Standard deviation of the noise in 0..255.

    Raises:
        ValueError: The word has no meaning at this scale.
    """
    words = classical_words(scale)
    if word not in words:
        raise ValueError(f"MODEL: at scale {scale} expected {' or '.join(words)}, got '{word}'.")
    run = nn.Identity() if word == "noisy" else Classical(partial(_FUNCTIONS[word], scale, sigma))
    return Contender(word, run, scale, fingerprint=str(sigma))


def _lanczos(scale: int, _: float, image: np.ndarray) -> np.ndarray:
    height, width, channels = image.shape
    picture = Image.fromarray(image[..., 0] if channels == 1 else image)
    size = (width * scale, height * scale)
    return np.array(picture.resize(size, Image.Resampling.LANCZOS)).reshape(*size[::-1], channels)


def _nlm(_: int, sigma: float, image: np.ndarray) -> np.ndarray:
    if image.shape[2] == 1:
        return cv2.fastNlMeansDenoising(image, None, sigma)[..., None]
    return cv2.fastNlMeansDenoisingColored(image, None, sigma, sigma)


_FUNCTIONS: dict[str, Callable[[int, float, np.ndarray], np.ndarray]] = {
    "bicubic": lambda scale, _, image: imresize(image, scale),
    "lanczos": _lanczos,
    "nlm": _nlm,
}
ENLARGING, DENOISING = ("bicubic", "lanczos"), ("noisy", "nlm")


def classical_words(scale: int) -> tuple[str, str]:
    """What :func:`classical` knows at a scale; the first is the image as it comes."""
    return ENLARGING if scale > 1 else DENOISING


def load_contenders(
    texts: Sequence[str], scale: int | None = None, sigma: float = 25.0
) -> list[Contender]:
    """Makes ready what is to be compared; whatever can be refused is refused here.

    The first one is always bicubic interpolation, or the noisy image where the scale is 1.

    Args:
        texts: A word of :func:`classical`, or ``'[NAME=]SOURCE'``: a checkpoint or work dir of
            ours, an ``.onnx`` or OpenVINO ``.xml`` file, weights that spandrel knows, or
            ``'CONFIG,CHECKPOINT'`` of any editor of mmagic.
        scale: Ratio of HR to LR size; that of the networks if None.
        sigma: Standard deviation of the noise in 0..255, for scale 1.

    Returns:
        The contenders, in the order of the table.

    Raises:
        ValueError: Two have one name, scales or channels differ, or a file tells no network.
        FileNotFoundError: There is no such file.
    """
    words = [text for text in texts if text in ENLARGING + DENOISING]
    networks = [_load(text) for text in texts if text not in words]
    scales = {c.name: c.upscale_factor for c in networks}
    if scale is not None:
        scales["--scale"] = scale
    if not scales:
        raise ValueError("MODEL: interpolation alone does not say its scale; add --scale.")
    if len(set(scales.values())) > 1:
        raise ValueError(f"MODEL: they have different scales: {_listed(scales)}.")
    channels = {c.name: c.in_channels for c in networks}
    if len(set(channels.values())) > 1:
        raise ValueError(f"MODEL: they read different numbers of channels: {_listed(channels)}.")
    (scale,) = set(scales.values())
    first = classical_words(scale)[0]
    found = [classical(word, scale, sigma) for word in dict.fromkeys([first, *words])] + networks
    names = [c.name for c in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"MODEL: the name '{name}' is taken; give each its own, NAME=SOURCE.")
    return found


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _load(text: str) -> Contender:
    name, source = "", text
    if "=" in text and not Path(text).exists():
        name, _, source = text.partition("=")
    config, _, checkpoint = source.partition(",")
    if checkpoint and not Path(source).exists():
        return _of_editor(name or Path(checkpoint).stem, config, checkpoint)
    return _of_file(name or Path(source).stem, source)


def _of_editor(name: str, config: str, source: str) -> Contender:
    """A network as its editor runs it: with the weights that it infers with, in its range."""
    cfg, checkpoint = read_config(config), read_checkpoint(source, f"MODEL {name}")
    network = init_generator(cfg, checkpoint)
    digest = _digest(checkpoint.source, cfg.model.to_dict())
    return network_contender(name, network, digest, cfg.model.get("data_preprocessor", UNIT_RANGE))


def _of_file(name: str, source: str) -> Contender:
    """A network that its file describes."""
    model = load_model(source)
    if model.network is not None:
        file = find_checkpoint(source) if Path(source).exists() else source
        return network_contender(name, model.network, _digest(str(file)))
    timed = Path(source) if source.lower().endswith(".onnx") else None
    scale, channels = model.upscale_factor, model.in_channels
    return Contender(name, RuntimeNet(model), scale, channels, timed, fingerprint=_digest(source))


def network_contender(
    name: str,
    network: nn.Module,
    fingerprint: str = "",
    preprocessor: Mapping[str, Any] = UNIT_RANGE,
) -> Contender:
    """A network, whose costs are counted.

    Args:
        name: Its name in the table.
        network: The network.
        fingerprint: Of its weights and options.
        preprocessor: Config of the data preprocessor of its editor.
    """
    scale, channels = upscale_factor_of(network), in_channels_of(network)
    return Contender(name, network, scale, channels, network, preprocessor, fingerprint)


def _digest(file: str, *options: Any) -> str:
    path = Path(file)
    content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else file
    return f"{content} {options}"
