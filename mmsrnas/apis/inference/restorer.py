"""A trained network as a function from image to image."""

import math
import os
import resource
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from .model import load_model
from .pictures import Picture, read_picture, write_picture
from .runtimes import RUNTIMES, LoadedModel, faster, in_runtime
from .tiling import FOREIGN_BYTES, Halo, Tile, find_halo, peak_bytes_per_pixel, smallest_tile, split

__all__ = ["MAX_MEMORY", "PRECISIONS", "Restorer"]

MAX_MEMORY = 2 << 30
"""Bytes that the process may take where nothing else is said."""
PRECISIONS = ("auto", "fp32", "fp16", "bf16")
MIN_TILE = 96
HEADROOM = {"torch": 1.75, "onnxruntime": 2.25, "openvino": 1.1, "ncnn": 1.75}
"""Memory that a pass takes, as a multiple of its features in torch.

Measured for DLSR and elastic: torch 1.06 to 1.63, onnxruntime 1.5 to 1.8 (it asks
the system for powers of two), OpenVINO 0.9.
"""
MIN_AGREEMENT = 65.0
"""PSNR in dB of half precision against float32: worth 0.01 dB to a network with 38 dB."""

Progress = Callable[[int], None]


class Restorer:
    """A network with all that it takes to restore images of any size and kind.

    Args:
        model: A checkpoint, ``.onnx`` file, work dir or network, as
            :func:`~mmsrnas.apis.inference.load_model` takes it.
        config: Config of the network, for a checkpoint that does not say what it is.
        device: Device as torch names it. If None, a network that is handed over as a module stays
            where it is, files of other runtimes run on the CPU, and all else on a GPU where there
            is one.
        precision: ``'auto'`` takes half precision where the hardware computes in it and this
            network agrees with float32 to 65 dB; ``'fp32'``, ``'bf16'`` and ``'fp16'`` do as said.
        runtime: What runs a network of torch. ``'auto'`` takes the fastest that is installed for
            files in float32 on a CPU, after a comparison with torch; a network that is handed over
            as a module stays in torch, as its weights may change. ``'torch'`` with ``'fp32'`` is
            the plain network. Others may round a value the other way.
        max_memory: Bytes that the process may take; images that need more are done in tiles. On a
            GPU, what is free of its memory decides about tiles instead.
        tile: Height and width of the tiles with their halo, in pixels, instead of ``max_memory``.

    Attributes:
        model: The network, its scale and its channels, and what runs it.

    Raises:
        ValueError: An argument has no meaning, the file does not tell its network, or the runtime
            does not do what torch does.
        FileNotFoundError: There is no such file.
    """

    def __init__(
        self,
        model: str | Path | nn.Module,
        config: str | Path | Config | None = None,
        device: str | torch.device | None = None,
        precision: str = "auto",
        max_memory: int = MAX_MEMORY,
        tile: int | None = None,
        runtime: str = "auto",
    ) -> None:
        if runtime not in RUNTIMES:
            raise ValueError(f"runtime: expected one of {', '.join(RUNTIMES)}, got {runtime!r}.")
        if precision not in PRECISIONS:
            raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}: {precision!r}.")
        if tile is not None and tile < MIN_TILE:
            raise ValueError(f"tile: expected at least {MIN_TILE} pixels, got {tile}.")
        if max_memory < 1:
            raise ValueError(f"max_memory: expected a positive number of bytes, got {max_memory}.")
        self.model: LoadedModel = load_model(model, config)
        if self.model.in_channels not in (1, 3):
            raise ValueError(
                f"MODEL: takes images of {self.model.in_channels} channels; 1 or 3 are restored."
            )
        self.device = self._choose_device(device, given=isinstance(model, nn.Module))
        self.max_memory, self.tile = max_memory, tile
        network: Any = self.model.network
        if network is not None:
            network.to(self.device)
        # Runtimes run files in float32: who names one has said the precision.
        named = runtime not in ("auto", "torch") and precision == "auto"
        self.dtype = self._choose_dtype("fp32" if named else precision)
        if network is None and runtime not in ("auto", self.model.runtime):
            raise ValueError(f"runtime: '{model}' is a file of {self.model.runtime}.")
        if network is not None and runtime != "torch":
            self._choose_runtime(runtime, given=isinstance(model, nn.Module))
        if network is not None and self.model.runtime == "torch" and precision != "fp32":
            network.to(memory_format=torch.channels_last)

    def _choose_device(self, device: str | torch.device | None, given: bool) -> torch.device:
        network: Any = self.model.network
        if network is None:
            if str(device) not in ("None", "cpu"):
                raise ValueError(
                    f"device: {self.model.runtime} runs on the CPU alone, got '{device}'; leave it "
                    "out, or take a checkpoint."
                )
            return torch.device("cpu")
        if device is not None:
            return _existing_device(device)
        if given:
            return next((p.device for p in network.parameters()), torch.device("cpu"))
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def _choose_runtime(self, runtime: str, given: bool) -> None:
        plain = self.device.type == "cpu" and self.dtype == torch.float32
        if runtime == "auto":
            if plain and not given:
                self.model = faster(self.model)
        elif plain:
            self.model = in_runtime(self.model, runtime)
        else:
            raise ValueError(f"runtime: {runtime} runs in float32 on the CPU alone; take 'auto'.")

    def _choose_dtype(self, precision: str) -> torch.dtype:
        """The type of the convolutions."""
        named = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
        if precision in named:
            return named[precision]
        fast = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        if self.model.network is None or not _computes_in(fast, self.device):
            return torch.float32
        generator = torch.Generator().manual_seed(0)
        image = torch.rand(1, self.model.in_channels, 64, 64, generator=generator)
        self.dtype = torch.float32
        exact = self._run(image)
        self.dtype = fast
        error = float((self._run(image) - exact).square().mean())
        return fast if error <= 10 ** (-MIN_AGREEMENT / 10) else torch.float32

    @cached_property
    def halo(self) -> Halo:
        """Overlap of the tiles, found when the first image needs tiles."""
        card = self.model.card
        if "halo" in card:
            return Halo(card["halo"], card["tile_difference"])
        return find_halo(
            self._exact, self.model.in_channels, self.model.upscale_factor, self.model.min_size
        )

    @torch.inference_mode()
    def _exact(self, image: Tensor) -> Tensor:
        """Runs images in torch in float32, so that how far the network sees shows.

        Another runtime may swallow a NaN. Kernels of cuDNN may spread it (Winograd, FFT), and round
        a pixel another way in each size of image (TF32).
        """
        network = self.model.network
        if network is None:
            return self.model.run(image)
        with torch.backends.cudnn.flags(enabled=False):
            return network(image.to(self.device)).cpu()

    @cached_property
    def _bytes_per_pixel(self) -> float:
        """Memory that a pass takes per pixel of its image."""
        headroom = HEADROOM[self.model.runtime]
        if self.model.network is None:
            return headroom * self.model.card.get("bytes_per_pixel", FOREIGN_BYTES)
        # Autocast keeps the features in half precision, and some operators and copies in full.
        share = 1.0 if self.dtype == torch.float32 else 0.75
        return headroom * share * peak_bytes_per_pixel(self.model.network, self.model.in_channels)

    def _tile_for(self, image: np.ndarray) -> int:
        """Largest side of a tile that the memory allows, for one image.

        Raises:
            MemoryError: Not even the smallest tile fits.
        """
        if self.tile is not None:
            return self.tile
        if self.device.type == "cuda":
            available = 0.8 * _free_gpu_bytes(self.device)
        else:
            # The result, and a copy of it that encoders make with four bytes a pixel.
            result = image.nbytes * self.model.upscale_factor**2
            encoded = result * 4 / 3
            available = self.max_memory - _resident_bytes() - result
            if self.model.release is None or available < encoded:
                available -= encoded
        planes = 3 if image.shape[2] > self.model.in_channels else 1
        side = int(math.sqrt(max(available, 0) / (planes * self._bytes_per_pixel)))
        if max(image.shape[:2]) <= side or max(image.shape[:2]) <= MIN_TILE:
            return max(image.shape[:2])
        if side < MIN_TILE:
            needed = self.max_memory - available
            needed += planes * self._bytes_per_pixel * MIN_TILE**2
            raise MemoryError(
                f"an image of {image.shape[0]}x{image.shape[1]} pixels needs max_memory of at "
                f"least {needed / 2**30:.2f} GiB, of which the program itself takes "
                f"{_resident_bytes() / 2**30:.2f}."
            )
        return side

    @torch.inference_mode()
    def _run(self, image: Tensor) -> Tensor:
        """Runs images of any size ``(N, C, H, W)``; small ones are padded by their border."""
        height, width = image.shape[2:]
        low = max(0, self.model.min_size - height), max(0, self.model.min_size - width)
        if any(low):
            image = nn.functional.pad(image, (0, low[1], 0, low[0]), "replicate")
        scale = self.model.upscale_factor
        with self._autocast():
            restored = self.model.run(image.to(self.device))
        return restored[..., : height * scale, : width * scale].float().cpu()

    def _autocast(self) -> AbstractContextManager:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def __call__(self, image: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """Restores one image.

        A gray image goes through a colour network as three equal channels, and comes back gray;
        the channels of a colour image go through a gray network one by one.

        Args:
            image: Gray ``(H, W)`` or ``(H, W, 1)``, or RGB ``(H, W, 3)``, uint8 or uint16.
            progress: Called with the number of pixels that are done after each tile.

        Returns:
            The restored image, of the same type and number of channels.

        Raises:
            ValueError: The array is no such image.
            MemoryError: ``max_memory`` is too small for it.
        """
        pixels = image[..., None] if image.ndim == 2 else image
        if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim != 3:
            raise ValueError(
                f"image: expected (H, W) or (H, W, C), uint8 or uint16, got {image.dtype} "
                f"{image.shape}."
            )
        if pixels.shape[2] not in (1, 3) or not pixels.size:
            raise ValueError(f"image: expected 1 or 3 channels and some pixels, got {image.shape}.")
        scale = self.model.upscale_factor
        height, width, channels = pixels.shape
        restored = np.empty((height * scale, width * scale, channels), pixels.dtype)
        tile = self._tile_for(pixels)
        in_tiles = max(height, width) > tile
        halo = self.halo.size if in_tiles else 0
        if in_tiles and tile < smallest_tile(halo):
            raise MemoryError(
                f"tiles of {tile} pixels are too small for this network, which needs {halo} "
                "around each; allow more by max_memory or tile."
            )
        for part in split((height, width), tile, halo):
            self._restore_tile(pixels, part, restored)
            if progress:
                rows, columns = part.core
                progress((rows.stop - rows.start) * (columns.stop - columns.start))
        if in_tiles and self.model.release is not None:
            self.model.release()
        return restored.reshape(*restored.shape[:2], *image.shape[2:])

    def _restore_tile(self, pixels: np.ndarray, tile: Tile, restored: np.ndarray) -> None:
        """Restores the core of a tile in its place."""
        scale, limit = self.model.upscale_factor, np.iinfo(pixels.dtype).max
        (rows, columns), (outer_rows, outer_columns) = tile.core, tile.outer
        part = np.ascontiguousarray(pixels[outer_rows, outer_columns].transpose(2, 0, 1))
        x = torch.from_numpy(part.astype(np.float32)) / limit
        given, wanted = pixels.shape[2], self.model.in_channels
        x = x[:, None] if wanted == 1 else x.expand(wanted, -1, -1)[None]
        y = self._run(x)
        y = y[:, 0] if wanted == 1 else y[0]
        if given == 1 and wanted == 3:  # BT.601: what color becomes where it is read as gray
            y = (torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1) * y).sum(0, keepdim=True)
        top, left = (rows.start - outer_rows.start) * scale, (columns.start - outer_columns.start)
        left *= scale
        out_rows = slice(rows.start * scale, rows.stop * scale)
        out_columns = slice(columns.start * scale, columns.stop * scale)
        target = restored[out_rows, out_columns]
        y = y[:, top : top + target.shape[0], left : left + target.shape[1]]
        y = (y * limit).clamp_(0, limit).round_()
        target[...] = y.numpy().transpose(1, 2, 0)

    def picture(self, picture: Picture, progress: Progress | None = None) -> Picture:
        """Restores a picture; transparency, colour profile and EXIF stay with it."""
        return picture.with_pixels(self(picture.pixels, progress))

    def file(self, source: str | Path, target: str | Path) -> None:
        """Restores one picture file; the ending of ``target`` says its format.

        Raises:
            ValueError: The file cannot be read, or its kind cannot be written as ``target``.
        """
        write_picture(self.picture(read_picture(source)), target)


def _computes_in(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether the hardware has units for a half precision, which is slow without them."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 7
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    found = (getattr(torch.cpu, name, None) for name in checks)
    return dtype == torch.bfloat16 and any(check() for check in found if check)


def _existing_device(name: str | torch.device) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device: {str(error).splitlines()[0]}") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device: '{name}' was asked for, but torch sees no GPU.")
    return device


def _free_gpu_bytes(device: torch.device) -> int:
    """Memory of a GPU that is free, or kept by torch for its next tensors."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept


def _resident_bytes() -> int:
    """Memory that the process takes now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux: the most that it ever took
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
