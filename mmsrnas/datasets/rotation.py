"""Random quarter turns."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from mmsrnas.registry import TRANSFORMS

__all__ = ["RandomRot90"]


@TRANSFORMS.register_module()
class RandomRot90(BaseTransform):
    """Turns images by 0, 90, 180 or 270 degrees with equal probability, gray ones too.

    mmagic's ``RandomTransposeHW`` needs an axis of channels, which its gray images do not have.

    Args:
        keys: The images that are turned alike.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = list(keys)

    def transform(self, results: dict) -> dict:
        """Turns the images ``(H, W)`` or ``(H, W, C)``."""
        turns = np.random.randint(4)
        for key in self.keys:
            results[key] = np.ascontiguousarray(np.rot90(results[key], turns))
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(keys={self.keys})"
