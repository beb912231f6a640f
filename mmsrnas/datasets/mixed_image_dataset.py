"""Pairs of LR and HR images, with LR images mixed in that have no HR image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmagic.structures import DataSample
from torch.utils.data import Dataset

from mmsrnas.registry import DATASETS

__all__ = ["MixedImageDataset"]


@DATASETS.register_module()
class MixedImageDataset(Dataset):
    """Training data of an adaptation to unknown degradations (arXiv 2003.07018, section 3.3).

    An image without HR gets a black placeholder as ``gt_img`` and the meta key ``unpaired``, which
    :class:`~mmsrnas.models.editors.DualRegressionEditor` understands. Which of these images a
    sample holds is drawn each time.

    Args:
        datasets: Configs of the pairs and of the LR images, e.g. ``mmsrnas.PairedImageDataset``
            and ``BasicImageDataset`` with only ``img`` in its ``data_prefix``. Both crop the LR
            image to the same size.
        scale: HR size divided by LR size.
        unpaired_share: Share of samples without HR, in (0, 1).

    Raises:
        ValueError: A wrong number of datasets or share, an empty dataset, or crops that differ.
    """

    def __init__(self, datasets: Sequence[dict], scale: int, unpaired_share: float = 0.3) -> None:
        if len(datasets) != 2:
            raise ValueError(
                f"MixedImageDataset.datasets: expected pairs and LR images, got {len(datasets)}."
            )
        if not 0 < unpaired_share < 1:
            raise ValueError(
                f"MixedImageDataset.unpaired_share: expected 0 < share < 1, got {unpaired_share}."
            )
        self.datasets = [DATASETS.build(cfg) for cfg in datasets]
        self.paired, self.unpaired = self.datasets
        self.metainfo = self.paired.metainfo
        self.scale = scale
        if not (len(self.paired) and len(self.unpaired)):
            raise ValueError("MixedImageDataset.datasets: one of them has no image.")
        self.extra = max(1, round(len(self.paired) * unpaired_share / (1 - unpaired_share)))
        sizes = [tuple(dataset[0]["inputs"].shape) for dataset in (self.paired, self.unpaired)]
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"MixedImageDataset.datasets: LR crops of the pairs are {sizes[0]}, those of the "
                f"LR images {sizes[1]}. Their 'crop_size' must be patch_size / {scale}."
            )

    def __len__(self) -> int:
        """Number of pairs and of places for images without HR."""
        return len(self.paired) + self.extra

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Loads a pair, or any of the images without HR."""
        unpaired = index >= len(self.paired)
        if unpaired:
            item = self.unpaired[np.random.randint(len(self.unpaired))]
            channels, height, width = item["inputs"].shape
            hr = torch.zeros(channels, self.scale * height, self.scale * width)
        else:
            item = self.paired[index]
            hr = item["data_samples"].gt_img
        # Samples of a batch must have the same keys; what else the pipelines note differs.
        sample = DataSample(gt_img=hr.to(item["inputs"].dtype))
        path = item["data_samples"].metainfo.get("img_path")
        order = item["data_samples"].metainfo.get("img_channel_order", "rgb")
        meta = dict(unpaired=unpaired, img_path=path)
        meta |= dict(img_channel_order=order, gt_channel_order=order)
        sample.set_metainfo(meta)
        return dict(inputs=item["inputs"], data_samples=sample)
