"""Paired image data: the dataset, its checks, and MATLAB's bicubic resizing."""

from .checks import check_datasets
from .mixed_image_dataset import MixedImageDataset
from .paired_image_dataset import PairedImageDataset
from .resize import imresize

__all__ = ["MixedImageDataset", "PairedImageDataset", "check_datasets", "imresize"]
