"""Loading of images in a pipeline."""

from typing import Any

import numpy as np
from mmagic.datasets.transforms import LoadImageFromFile as MMagicLoadImageFromFile

from mmsrnas.registry import TRANSFORMS

from .image_io import MAX_PIXELS, read_image

__all__ = ["LoadImageFromFile"]

NOT_TAKEN = ("imdecode_backend", "use_cache", "backend_args")


@TRANSFORMS.register_module()
class LoadImageFromFile(MMagicLoadImageFromFile):
    """mmagic's transform of the same name, which decodes as the converters do.

    Every image goes through :func:`mmsrnas.datasets.read_image`, which says what is taken.

    Args:
        key: Loads ``results['<key>_path']`` into ``results['<key>']``: RGB ``(H, W, 3)`` or gray
            ``(H, W, 1)``, uint8.
        color_type: ``'color'`` or ``'grayscale'``.
        channel_order: ``'rgb'`` or ``'bgr'``.
        max_pixels: Larger images are refused.
        **kwargs: As in mmagic, but for the choice of a decoder, a cache or a storage.

    Raises:
        ValueError: An argument that this class does not take.
    """

    def __init__(
        self,
        key: str,
        color_type: str = "color",
        channel_order: str = "rgb",
        max_pixels: int = MAX_PIXELS,
        **kwargs: Any,
    ) -> None:
        for name in NOT_TAKEN:
            if kwargs.pop(name, None):
                raise ValueError(
                    f"LoadImageFromFile.{name}: remove it; images are files, and all of them are "
                    "decoded by mmsrnas.datasets.read_image."
                )
        super().__init__(key=key, color_type=color_type, channel_order=channel_order, **kwargs)
        self.max_pixels = max_pixels

    def _load_image(self, filename: str) -> np.ndarray:
        image = read_image(filename, self.color_type, self.max_pixels)
        reverse = self.color_type == "color" and self.channel_order == "bgr"
        return np.ascontiguousarray(image[..., ::-1]) if reverse else image
