"""Images in tiles: how large a tile may be, and how far the network looks beyond it."""

import copy
import math
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Halo", "Tile", "find_halo", "peak_bytes_per_pixel", "smallest_tile", "split"]

ALIGNMENT = 12
"""Tiles begin at multiples of it: networks that rearrange pixels see the phase of the image."""
MAX_RADIUS = 96
FALLBACK_HALO = 12
PROBE = 128
EXACT = 1e-4
"""Difference of two float32 evaluations of the same pixel, for images in [0, 1]."""
FOREIGN_BYTES = 16_384
"""Working memory per pixel that is assumed where a network cannot be looked into."""

Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Halo:
    """How far tiles overlap.

    Attributes:
        size: Pixels of the input around a tile that are computed and thrown away.
        difference: Largest difference from the untiled image, for values in [0, 1], on a random
            image in small tiles; 0 where the network is local and the halo covers what it sees.
    """

    size: int
    difference: float

    @property
    def is_exact(self) -> bool:
        """Whether tiles give what the whole image gives."""
        return self.difference == 0

    def __str__(self) -> str:
        if self.is_exact:
            return f"tiles overlap by {self.size} pixels, as far as the network sees: exact"
        return (
            f"tiles overlap by {self.size} pixels; the network looks at the whole image, tiles "
            f"differ from it by at most {self.difference * 255:.1f} of 255 levels on noise"
        )


@dataclass(frozen=True)
class Tile:
    """A rectangle of the image, and a larger one around it that the network gets.

    Attributes:
        core: Rows and columns of the input that the tile is responsible for.
        outer: Rows and columns that the network gets.
    """

    core: tuple[slice, slice]
    outer: tuple[slice, slice]


def split(size: tuple[int, int], tile: int, halo: int) -> Iterator[Tile]:
    """Cuts an image into tiles that the network gets in one size.

    Args:
        size: ``(height, width)`` of the image.
        tile: Largest height and width of a tile with its halo, in pixels.
        halo: Pixels around the core of a tile; none at the border of the image.

    Yields:
        The tiles, row by row; one without a halo where the image is no larger than a tile.

    Raises:
        ValueError: Tiles consist of their halo alone.
    """
    if max(size) > tile < smallest_tile(halo):
        raise ValueError(f"tile: expected at least {smallest_tile(halo)} pixels, got {tile}.")
    rows, columns = (list(_spans(length, tile, halo)) for length in size)
    for row, outer_row in rows:
        for column, outer_column in columns:
            yield Tile((row, column), (outer_row, outer_column))


def smallest_tile(halo: int) -> int:
    """Smallest height and width of a tile with its halo."""
    return 2 * halo + 2 * ALIGNMENT - 1


def _spans(length: int, tile: int, halo: int) -> Iterator[tuple[slice, slice]]:
    if length <= tile:
        yield slice(0, length), slice(0, length)
        return

    def steps_of(window: int) -> int:
        return math.ceil((length - window) / ((window - 2 * halo) // ALIGNMENT * ALIGNMENT))

    # Each begins at a multiple of the alignment, and the last one ends with the image.
    window = tile - (tile - length) % ALIGNMENT
    steps = steps_of(window)
    while window - ALIGNMENT >= 2 * halo + ALIGNMENT and steps_of(window - ALIGNMENT) == steps:
        window -= ALIGNMENT
    units = (length - window) // ALIGNMENT
    starts = [units * step // steps * ALIGNMENT for step in range(steps + 1)]
    bounds = [0, *(start + halo for start in starts[1:]), length]
    for start, (bound, next_bound) in zip(starts, pairwise(bounds), strict=True):
        yield slice(bound, next_bound), slice(start, start + window)


@torch.inference_mode()
def find_halo(run: Run, in_channels: int, scale: int, min_size: int = 1) -> Halo:
    """Finds out how far a network sees, by following NaN from one pixel to the output.

    A network that sees at most 96 pixels, and does the same everywhere, is local: tiles with that
    halo are exact. For others the halo is 12 pixels, and the difference is measured; what looks at
    the whole image differs with a wider one, too.

    Args:
        run: Maps images ``(N, C, H, W)`` on the CPU, in float32, with kernels that let a pixel
            touch only what reads it.
        in_channels: Channels of the images.
        scale: Ratio of output to input size.
        min_size: Smallest image that the network takes.
    """
    radius = 0
    for shift in range(2):  # two phases of networks that halve the image
        radius = max(radius, _radius(run, in_channels, scale, MAX_RADIUS + shift))
    local = radius <= MAX_RADIUS - 1
    size = radius if local else FALLBACK_HALO
    difference = _difference(run, in_channels, scale, size, min_size)
    if local and difference <= EXACT:
        return Halo(size, 0.0)
    size = FALLBACK_HALO
    return Halo(size, _difference(run, in_channels, scale, size, min_size))


def _radius(run: Run, in_channels: int, scale: int, center: int) -> int:
    """Distance in pixels of the input at which a pixel still changes the output."""
    image = torch.zeros(1, in_channels, 2 * MAX_RADIUS + 2, 2 * MAX_RADIUS + 2)
    image[..., center, center] = torch.nan
    touched = run(image).isnan().any(1)[0].nonzero() // scale - center
    if not len(touched):  # a runtime that swallows NaN
        return MAX_RADIUS
    return int(touched.abs().max())


def _difference(run: Run, in_channels: int, scale: int, halo: int, min_size: int) -> float:
    """Largest difference between an image in one piece and in tiles."""
    core = max(PROBE // 2, min_size)
    side = 2 * core + 2 * halo
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, in_channels, side // 4 + 1, side // 4 + 1, generator=generator)
    image = nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)
    whole = run(image)
    worst = 0.0
    for tile in split((side, side), side - ALIGNMENT, halo):
        (rows, columns), (outer_rows, outer_columns) = tile.core, tile.outer
        part = run(image[:, :, outer_rows, outer_columns])
        top, left = (rows.start - outer_rows.start, columns.start - outer_columns.start)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        part = part[
            ..., top * scale : (top + height) * scale, left * scale : (left + width) * scale
        ]
        exact = whole[
            ...,
            rows.start * scale : rows.stop * scale,
            columns.start * scale : columns.stop * scale,
        ]
        worst = max(worst, float((part - exact).abs().max()))
    return worst


class _Meter(TorchDispatchMode):
    """Follows the bytes of all tensors that are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[int, list[int]] = {}  # by storage: bytes, number of tensors on it
        self.current = self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, Tensor):
                self._enter(tensor)
        return result

    def _enter(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self.sizes:
            self.sizes[key] = [storage.nbytes(), 0]
            self.current += storage.nbytes()
            self.peak = max(self.peak, self.current)
        self.sizes[key][1] += 1
        weakref.finalize(tensor, self._leave, key)

    def _leave(self, key: int) -> None:
        entry = self.sizes.get(key)
        if entry is None:
            return
        entry[1] -= 1
        if entry[1] == 0:
            self.current -= entry[0]
            del self.sizes[key]


def peak_bytes_per_pixel(network: nn.Module, in_channels: int, size: int = 96) -> int:
    """Working memory of a network per pixel of its input, counted without running it.

    Args:
        network: The network; it is left as it was.
        in_channels: Channels of the images.
        size: Height and width of the image that is counted.

    Returns:
        Bytes of the largest set of features that are alive at once, in float32.
    """
    shadow = copy.deepcopy(network).to("meta").eval()
    image = torch.empty(1, in_channels, size, size, device="meta")
    with torch.no_grad(), _Meter() as meter:
        output = shadow(image)
    del output
    return math.ceil((meter.peak + image.nbytes) / size**2)
