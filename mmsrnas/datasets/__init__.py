"""Paired image data: the dataset, its checks, and MATLAB's bicubic resizing."""

from .checks import check_datasets
from .paired_image_dataset import PairedImageDataset
from .resize import imresize

__all__ = ["PairedImageDataset", "check_datasets", "imresize"]
