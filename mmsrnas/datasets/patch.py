"""Random patches, and the size of images that a pipeline needs for its crops."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from mmagic.datasets.transforms import Crop, PairedRandomCrop, RandomResize
from mmcv.transforms import BaseTransform

from mmsrnas.registry import TRANSFORMS

__all__ = ["RandomPatch", "smallest_size"]


@TRANSFORMS.register_module()
class RandomPatch(BaseTransform):
    """Cuts the same random patch out of ``gt`` and, where it is loaded, ``img``.

    The dataset sets its size (``patch_size``, that of the HR patch in pixels) and ``scale``.

    Raises:
        ValueError: LR and HR sizes do not differ by ``scale``, or are smaller than the patch.
    """

    def transform(self, results: dict) -> dict:
        """Cuts images ``(H, W)`` or ``(H, W, C)``."""
        size, scale = results["patch_size"], results["scale"]
        height, width = results["gt"].shape[:2]
        if "img" in results:
            lr = results["img"].shape[:2]
            if (height, width) != (lr[0] * scale, lr[1] * scale):
                raise ValueError(
                    f"HR of {height}x{width} is not scale={scale} times LR of {lr[0]}x{lr[1]}"
                )
        if size > min(height, width):
            raise ValueError(f"HR of {height}x{width} is smaller than patch_size={size}")
        top = np.random.randint((height - size) // scale + 1)
        left = np.random.randint((width - size) // scale + 1)
        for key, factor in (("gt", scale), ("img", 1)):
            if key in results:
                rows = slice(top * factor, top * factor + size * factor // scale)
                columns = slice(left * factor, left * factor + size * factor // scale)
                results[key] = results[key][rows, columns]
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def smallest_size(transforms: Sequence[Callable], patch_size: int | None) -> tuple[int, int] | None:
    """HR size ``(height, width)`` that the crops of a pipeline need, whatever is drawn.

    Args:
        transforms: The pipeline.
        patch_size: Size of :class:`RandomPatch`.

    Returns:
        None if nothing is cut.
    """
    size: tuple | None = None
    for transform in reversed(transforms):
        if isinstance(transform, RandomPatch):
            size = (patch_size, patch_size)
        elif isinstance(transform, PairedRandomCrop):
            size = (transform.gt_patch_size,) * 2
        elif isinstance(transform, Crop) and "gt" in transform.keys and not transform.is_pad_zeros:
            size = transform.crop_size
        elif isinstance(transform, RandomResize) and size is not None:
            factor = _smallest_factor(transform.params)
            size = tuple(math.ceil(length / factor) for length in size)
    return size


def _smallest_factor(params: dict) -> float:
    """The strongest shrinking that ``RandomResize`` may draw."""
    if params.get("target_size") is not None:
        return 1.0
    shrinks = params["resize_mode_prob"][1] > 0
    return params["resize_scale"][0] if shrinks else 1.0
