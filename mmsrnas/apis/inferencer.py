"""Restoration of single images, gray ones included."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmagic.apis.inferencers.image_super_resolution_inferencer import (
    ImageSuperResolutionInferencer,
)
from mmagic.structures import DataSample

from mmsrnas.checkpoint import read_checkpoint
from mmsrnas.engine.hooks.checkpoint_fit_hook import inference_part

from .generator import adopt_genotype

__all__ = ["RestorationInferencer"]


class RestorationInferencer(ImageSuperResolutionInferencer):
    """mmagic's inferencer of super-resolution, for denoising and gray images too.

    mmagic's reverses the last axis of every result, from RGB to BGR: a gray image, which has no
    third axis, is mirrored by that. The genotype is that of the checkpoint, see
    :func:`~mmsrnas.apis.adopt_genotype`, and weights of another network are an error.
    """

    def _init_model(self, cfg: Any, ckpt: str | None, device: str) -> Any:
        """The editor of the config with the weights that it infers with."""
        if not ckpt:
            return super()._init_model(cfg, None, device)
        checkpoint = read_checkpoint(ckpt)
        adopt_genotype(cfg, checkpoint)
        editor: Any = super()._init_model(cfg, None, device)
        part = inference_part(editor)
        checkpoint.load_into(getattr(editor, part), part)
        return editor

    def visualize(
        self, preds: list[DataSample], result_out_dir: str | Path | None = None
    ) -> np.ndarray:
        """Turns the prediction into an image, and writes it.

        Args:
            preds: What ``forward`` returned, of one image.
            result_out_dir: Target file; none is written where it is None.

        Returns:
            BGR ``(H, W, 3)`` or gray ``(H, W)``, uint8.
        """
        image = np.asarray(super().visualize(preds))
        image = np.ascontiguousarray(image[:, ::-1] if image.ndim == 2 else image)
        if result_out_dir:
            Path(result_out_dir).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(result_out_dir), image)
        return image
